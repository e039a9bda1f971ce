use super::natural;
use std::cmp::Ordering;

#[test]
fn versions_are_ordered_the_way_people_count() {
    for (older, newer) in
        [("1.9", "1.10"), ("2", "10"), ("1.2", "1.2.1"), ("v3", "v12"), ("2025-12", "2026-01"), ("a", "b")]
    {
        assert_eq!(natural(older, newer), Ordering::Less, "{older} {newer}");
        assert_eq!(natural(newer, older), Ordering::Greater, "{older} {newer}");
    }
    assert_eq!(natural("1.0", "1.0"), Ordering::Equal);
}
