//! E-mail: who wrote to whom, when, about what, and the body. Attachments are named, not parsed: a site adds them as
//! files of their own where they matter.

use mail_parser::{Address, Message, MessageParser, MimeHeaders, PartType};

use super::writer::{Writer, one_line};
use super::{Format, Limits, ParseError, Parsed, html, plain};

pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, ParseError> {
    let Some(message) = MessageParser::default().parse(bytes) else {
        let why = "it is not a message with headers".to_owned();
        return Err(ParseError::Damaged { format: Format::Email, place: "its beginning".into(), why });
    };
    if is_encrypted(&message) {
        return Err(ParseError::Encrypted { format: Format::Email });
    }
    let mut writer = Writer::new(limits);
    headers(&message, &mut writer);
    body(&message, &mut writer);
    attachments(&message, &mut writer);
    writer.finish(Format::Email)
}

/// S/MIME and PGP wrap the whole message.
fn is_encrypted(message: &Message<'_>) -> bool {
    message.parts.first().is_some_and(|root| {
        let smime = ["pkcs7-mime", "x-pkcs7-mime"].iter().any(|kind| root.is_content_type("application", kind));
        let signed =
            root.content_type().and_then(|kind| kind.attribute("smime-type")).is_some_and(|kind| kind == "signed-data");
        (smime && !signed) || root.is_content_type("multipart", "encrypted")
    })
}

fn headers(message: &Message<'_>, writer: &mut Writer) {
    let subject = one_line(message.subject().unwrap_or_default());
    if !subject.is_empty() {
        writer.heading(1, &subject);
        writer.property("subject", &subject);
    }
    let date = message.date().map(|date| date.to_rfc3339()).unwrap_or_default();
    let named =
        [("From", people(message.from())), ("To", people(message.to())), ("Cc", people(message.cc())), ("Date", date)];
    let lines: Vec<String> =
        named.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}: {value}")).collect();
    writer.paragraph(&lines.join("\n"));
    for (name, value) in named {
        writer.property(name, &value);
    }
}

fn people(address: Option<&Address<'_>>) -> String {
    let shown = |name: Option<&str>, address: Option<&str>| match (name, address) {
        (Some(name), Some(address)) if name != address => format!("{name} <{address}>"),
        (name, address) => address.or(name).unwrap_or_default().to_owned(),
    };
    let people = address.into_iter().flat_map(Address::iter).map(|one| shown(one.name(), one.address()));
    people.map(|one| one_line(&one)).filter(|one| !one.is_empty()).collect::<Vec<_>>().join(", ")
}

/// The text bodies; where a message has only HTML, that.
fn body(message: &Message<'_>, writer: &mut Writer) {
    for part in message.text_bodies() {
        match &part.body {
            PartType::Text(text) => plain::write(text, writer),
            PartType::Html(text) => html::write(text, writer),
            _ => {}
        }
    }
}

fn attachments(message: &Message<'_>, writer: &mut Writer) {
    let mut count = 0;
    for part in message.attachments() {
        let kind = part.content_type().map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("-")));
        let kind = kind.unwrap_or_else(|| "unknown kind".into());
        let name = part
            .attachment_name()
            .map(one_line)
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "without a name".into());
        writer.paragraph(&format!("Attachment: {name} ({}, {} bytes)", one_line(&kind), part.len()));
        count += 1;
    }
    if count > 0 {
        writer.warn(format!("{count} attachment(s) named, not read: add them as files of their own"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "From: Pharmacy <rx@example.org>\r\nTo: staff@example.org\r\nSubject: =?utf-8?q?Recall_=E2=80=93_lot_7?=\r\n\
        Date: Mon, 5 Jan 2026 09:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
        Content-Type: text/html; charset=utf-8\r\n\r\n<p>Pull <b>lot 7</b>.</p><ul><li>Call</li></ul>\r\n--b\r\n\
        Content-Type: application/pdf; name=list.pdf\r\nContent-Disposition: attachment; filename=list.pdf\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n--b--\r\n";

    #[test]
    fn headers_body_and_names_of_attachments_are_text() {
        let parsed = parse(MESSAGE.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(parsed.title.as_deref(), Some("Recall – lot 7"));
        assert!(
            parsed.text.contains("From: Pharmacy <rx@example.org>\nTo: staff@example.org\nDate: 2026-01-05T09:00:00Z")
        );
        assert!(
            parsed.text.contains("Pull lot 7.\n\n- Call\n\nAttachment: list.pdf (application/pdf, 4 bytes)"),
            "{}",
            parsed.text
        );
        assert_eq!(parsed.warnings.len(), 1);
    }

    #[test]
    fn an_encrypted_message_is_reported_as_such() {
        let message = "From: a@example.org\nTo: b@example.org\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nabc";
        assert_eq!(parse(message.as_bytes(), &Limits::default()), Err(ParseError::Encrypted { format: Format::Email }));
    }
}
