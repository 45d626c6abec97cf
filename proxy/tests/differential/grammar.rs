//! Templates of commands, and how they are read.
//!
//! A template is a line of words parted by blanks: `<name>` stands for an argument of that sort, `[ ... ]` may be left
//! out, `( a | b )` is one of several, `{ ... }` stands there once to three times. Several commands in a row are
//! parted by `;`.

/// One part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Word(String),
    Argument(String),
    Optional(Vec<Part>),
    Choice(Vec<Vec<Part>>),
    Repeated(Vec<Part>),
}

/// Reads a template; each of its commands is a list of parts.
///
/// # Panics
/// When brackets do not match: templates are written by hand.
pub fn parse(template: &str) -> Vec<Vec<Part>> {
    let commands = template.split(';').map(|command| {
        let mut words: Vec<&str> = command.split_whitespace().rev().collect();
        let parts = parse_until(&mut words, None, template);
        assert!(words.is_empty(), "a bracket too many in {template}");
        parts
    });
    commands.collect()
}

fn parse_until(words: &mut Vec<&str>, end: Option<&str>, template: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    loop {
        let Some(word) = words.pop() else {
            assert!(end.is_none(), "an open bracket in {template}");
            return parts;
        };
        if Some(word) == end {
            return parts;
        }
        parts.push(match word {
            "[" => Part::Optional(parse_until(words, Some("]"), template)),
            "{" => Part::Repeated(parse_until(words, Some("}"), template)),
            "(" => Part::Choice(choices(parse_until(words, Some(")"), template))),
            _ => match word.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
                Some(name) => Part::Argument(name.to_owned()),
                None => Part::Word(word.to_owned()),
            },
        });
    }
}

fn choices(parts: Vec<Part>) -> Vec<Vec<Part>> {
    let bar = Part::Word("|".to_owned());
    parts.split(|part| *part == bar).map(<[Part]>::to_vec).collect()
}

#[test]
fn templates_are_read_as_they_are_written() {
    let word = |text: &str| Part::Word(text.to_owned());
    let argument = |text: &str| Part::Argument(text.to_owned());
    let read = parse("SET <a> [ ( EX <b> | NX ) ] ; DEL { <a> }");
    let first = vec![
        word("SET"),
        argument("a"),
        Part::Optional(vec![Part::Choice(vec![vec![word("EX"), argument("b")], vec![word("NX")]])]),
    ];
    assert_eq!(read, [first, vec![word("DEL"), Part::Repeated(vec![argument("a")])]]);
}
