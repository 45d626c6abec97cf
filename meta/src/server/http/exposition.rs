//! Prometheus's text format, version 0.0.4.

use std::fmt::{Display, Write};

/// What a family's samples do over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// They only rise.
    Counter,
    /// They rise and fall.
    Gauge,
}

/// A page that is being written.
#[derive(Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    /// A family with the samples that it has; labels are names with their values.
    pub(super) fn family<'a, V: Display>(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'a str, String)>, V)>,
    ) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
            let labels = match labels.as_slice() {
                [] => String::new(),
                labels => format!("{{{}}}", labels.join(",")),
            };
            let _ = writeln!(self.text, "{name}{labels} {value}");
        }
    }

    /// A family of one sample without labels.
    pub(super) fn single(&mut self, kind: Kind, name: &str, help: &str, value: impl Display) {
        self.family(kind, name, help, [(Vec::new(), value)]);
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// A label's value as the format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_its_head_once_and_its_values_escaped() {
        let mut page = Page::default();
        page.single(Kind::Counter, "a_total", "All of a.", 3);
        let label = |value: &str| vec![("who", value.to_owned()), ("n", "1".to_owned())];
        page.family(Kind::Gauge, "b", "B.", [(label("x\"\\\n"), 1), (label("y"), 2)]);
        let expected = "# HELP a_total All of a.\n# TYPE a_total counter\na_total 3\n# HELP b B.\n# TYPE b gauge\n\
                        b{who=\"x\\\"\\\\\\n\",n=\"1\"} 1\nb{who=\"y\",n=\"1\"} 2\n";
        assert_eq!(page.finish(), expected);
    }
}
