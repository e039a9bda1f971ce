use super::*;
use crate::parse::BlockKind;

fn parsed(html: &str) -> Parsed {
    parse(html.as_bytes(), &Limits::default()).unwrap()
}

#[test]
fn what_surrounds_the_text_is_left_out() {
    let parsed = parsed(
        "<title>Refills</title><nav>Home</nav><script>x()</script><style>p{}</style><main><h1>Refill <b>policy</b></h1>\
         <p>Call   <i>seven</i>\n days ahead.</p></main><footer>Contact</footer>",
    );
    assert_eq!(parsed.text, "Refill policy\n\nCall seven days ahead.");
    assert_eq!(parsed.title.as_deref(), Some("Refills"));
    assert_eq!(parsed.blocks[1].headings, ["Refill policy"]);
}

#[test]
fn what_a_page_hides_is_not_read() {
    let parsed = parsed("<p>Seen</p><p hidden>a</p><p style='display: none'>b</p><div aria-hidden=true>c</div>");
    assert_eq!(parsed.text, "Seen");
}

#[test]
fn lists_keep_their_numbers() {
    let parsed =
        parsed("<ol start=3><li>Call<ul><li>by phone</li></ul></li><li value=7>Wait</li></ol><ol type=i><li>x</ol>");
    assert_eq!(parsed.text, "3. Call\n- by phone\n7. Wait\ni. x");
    assert_eq!(parsed.blocks[2].kind, BlockKind::ListItem { number: Some(7) });
}

#[test]
fn table_rows_carry_their_headers() {
    let parsed = parsed(
        "<table><caption>Limits</caption><thead><tr><th>Drug<th>Limit</thead><tr><td>Warfarin<td>30<br>days</tr>\
         <tr><td colspan=2>Controlled</tr><tr><td>Codeine<td>7 days</tr></table>",
    );
    assert_eq!(parsed.text, "Limits\n\nDrug: Warfarin; Limit: 30 days\nControlled\nDrug: Codeine; Limit: 7 days");
}

#[test]
fn a_table_that_only_places_text_is_read_as_text() {
    let parsed =
        parsed("<table><tr><td><h2>Hours</h2><p>9 to 5</p></td><td><ul><li>Closed on Sunday</ul></td></tr></table>");
    assert_eq!(parsed.text, "Hours\n\n9 to 5\n\n- Closed on Sunday");
}

#[test]
fn the_declared_encoding_is_used() {
    let parsed = parse(b"<meta charset=\"iso-8859-2\"><p>\xb3\xf3d\xbc", &Limits::default()).unwrap();
    assert_eq!(parsed.text, "łódź");
}

#[test]
fn a_definition_stands_with_its_term() {
    assert_eq!(parsed("<dl><dt>Copay</dt><dd>What you pay.</dd></dl>").text, "Copay: What you pay.");
}
