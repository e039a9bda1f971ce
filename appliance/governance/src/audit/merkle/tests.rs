use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

/// RFC 6962, section 2.1, word for word: the reference that the rest is held against.
fn naive(leaves: &[Vec<u8>]) -> Hash {
    match leaves {
        [] => Hash::of_nothing(),
        [leaf] => Hash::of_leaf(leaf),
        _ => {
            let mut k = 1;
            while k * 2 < leaves.len() {
                k *= 2;
            }
            Hash::of_pair(naive(&leaves[..k]), naive(&leaves[k..]))
        }
    }
}

fn naive_path(m: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let k = usize::try_from(left_half(leaves.len() as u64)).unwrap();
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) =
        if m < k { (naive_path(m, left), naive(right)) } else { (naive_path(m - k, right), naive(left)) };
    path.push(sibling);
    path
}

fn naive_subproof(m: usize, leaves: &[Vec<u8>], whole: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if whole { Vec::new() } else { vec![naive(leaves)] };
    }
    let k = usize::try_from(left_half(leaves.len() as u64)).unwrap();
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) = if m <= k {
        (naive_subproof(m, left, whole), naive(right))
    } else {
        (naive_subproof(m - k, right, false), naive(left))
    };
    proof.push(sibling);
    proof
}

/// Nodes straight from the leaves.
fn nodes(leaves: &[Vec<u8>]) -> impl FnMut(Node) -> Result<Hash, Infallible> {
    |node| {
        let start = usize::try_from(node.index << node.level).unwrap();
        Ok(naive(&leaves[start..start + (1 << node.level)]))
    }
}

fn leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| n.to_be_bytes().to_vec()).collect()
}

fn hex_root(leaves: &[Vec<u8>]) -> String {
    let mut frontier = Frontier::default();
    leaves.iter().for_each(|leaf| frontier.push(Hash::of_leaf(leaf)));
    hex::encode(frontier.root().as_bytes())
}

/// The eight leaves and the roots of their prefixes that implementations of RFC 6962 hold each other against (Certificate
/// Transparency's `merkle_tree_test`).
#[test]
fn the_roots_are_those_of_the_known_vectors() {
    let leaves: Vec<Vec<u8>> =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
            .iter()
            .map(|digits| hex::decode(digits).unwrap())
            .collect();
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    for (count, root) in (1..).zip(roots) {
        assert_eq!(hex_root(&leaves[..count]), root, "{count} leaves");
    }
    assert_eq!(hex_root(&[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

proptest! {
    #[test]
    fn the_frontier_grows_to_the_root_of_the_definition_and_reads_back(count in 0_usize..200) {
        let leaves = leaves(count);
        let mut frontier = Frontier::default();
        for leaf in &leaves {
            frontier.push(Hash::of_leaf(leaf));
            frontier = Frontier::from_bytes(frontier.size(), &frontier.to_bytes()).unwrap();
        }
        prop_assert_eq!(frontier.root(), naive(&leaves));
        prop_assert_eq!(range(0, count as u64, &mut nodes(&leaves)).unwrap(), naive(&leaves));
    }

    #[test]
    fn a_record_is_proven_where_it_is_and_nowhere_else(count in 1_usize..150, at in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
        let leaves = leaves(count);
        let (index, other) = (at.index(count), other.index(count));
        let (size, root) = (count as u64, naive(&leaves));
        let proof = inclusion(index as u64, size, &mut nodes(&leaves)).unwrap();
        prop_assert_eq!(&proof, &naive_path(index, &leaves));
        let leaf = Hash::of_leaf(&leaves[index]);
        prop_assert!(includes(index as u64, size, leaf, root, &proof));
        prop_assert_eq!(includes(other as u64, size, leaf, root, &proof), other == index);
        prop_assert!(!includes(index as u64, size, Hash::of_leaf(b"another"), root, &proof));
        prop_assert!(!includes(size, size, leaf, root, &proof));
        let mut longer = proof.clone();
        longer.push(root);
        prop_assert!(!includes(index as u64, size, leaf, root, &longer));
        for cut in 0..proof.len() {
            let mut bent = proof.clone();
            bent[cut] = Hash::of_leaf(b"bent");
            prop_assert!(!includes(index as u64, size, leaf, root, &bent));
            prop_assert!(!includes(index as u64, size, leaf, root, &proof[..cut]));
        }
    }

    #[test]
    fn a_tree_is_proven_to_begin_with_its_past_and_with_no_other(count in 1_usize..150, at in any::<prop::sample::Index>()) {
        let leaves = leaves(count);
        let earlier = at.index(count + 1);
        let (root, past) = (naive(&leaves), naive(&leaves[..earlier]));
        let (e, size) = (earlier as u64, count as u64);
        let proof = consistency(e, size, &mut nodes(&leaves)).unwrap();
        if earlier > 0 {
            prop_assert_eq!(&proof, &naive_subproof(earlier, &leaves, true));
        }
        prop_assert!(extends(e, size, past, root, &proof));
        prop_assert!(!extends(e, size, Hash::of_leaf(b"another past"), root, &proof));
        if earlier > 0 {
            prop_assert!(!extends(e, size, past, Hash::of_leaf(b"another present"), &proof));
        }
        for bend in 0..proof.len() {
            let mut bent = proof.clone();
            bent[bend] = Hash::of_leaf(b"bent");
            prop_assert!(!extends(e, size, past, root, &bent));
            prop_assert!(!extends(e, size, past, root, &proof[..bend]));
        }
    }
}
