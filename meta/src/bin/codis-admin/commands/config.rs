//! `codis-admin config ...`

use super::Session;
use crate::cli::ConfigCommand;
use crate::{Failure, output};
use codis_proto::admin::v1 as api;
use std::collections::BTreeMap;

impl Session {
    pub(super) async fn config(&mut self, command: ConfigCommand) -> Result<(), Failure> {
        match command {
            ConfigCommand::Get { names } => {
                let request = api::GetSettingsRequest {};
                let call = self.client.call(request, async |api, q| api.get_settings(q).await);
                let settings = chosen(call.await?, &names)?;
                self.output.answer("codis.admin.v1.Settings", &settings, || {
                    output::settings(&settings.settings)
                })
            }
            ConfigCommand::Set { settings, wait } => {
                let values = pairs(&settings)?;
                let call = self.change(wait);
                let request = api::SetSettingsRequest { call, values: values.clone() };
                let call = self.client.call(request, async |api, q| api.set_settings(q).await);
                let changed = call.await?;
                let said = values.iter().map(|(name, value)| match value.as_str() {
                    "" => format!("{name} has its default again"),
                    value => format!("{name} is {value}"),
                });
                self.changed(&said.collect::<Vec<_>>().join(", "), &changed)
            }
        }
    }
}

/// The settings of these names, or all of them.
fn chosen(all: api::Settings, names: &[String]) -> Result<api::Settings, Failure> {
    if names.is_empty() {
        return Ok(all);
    }
    let find = |name: &String| {
        let found = all.settings.iter().find(|setting| setting.name == *name).cloned();
        found.ok_or_else(|| {
            Failure::Said(format!(
                "there is no setting {name:?}: `codis-admin config get` lists all"
            ))
        })
    };
    Ok(api::Settings { settings: names.iter().map(find).collect::<Result<_, _>>()? })
}

/// `NAME=VALUE ...`, or `NAME VALUE`.
fn pairs(words: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    if let [name, value] = words
        && !name.contains('=')
    {
        return Ok([(name.clone(), value.clone())].into());
    }
    let pair = |word: &String| {
        let found = word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        found.ok_or_else(|| Failure::Said(format!("{word:?} sets nothing: give NAME=VALUE")))
    };
    words.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn settings_are_given_as_pairs() {
        let expected = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())];
        assert_eq!(pairs(&words(&["a=1", "b="])).expect("pairs"), expected.into());
        let single = [("a".to_owned(), "x=y".to_owned())];
        assert_eq!(pairs(&words(&["a", "x=y"])).expect("a pair"), single.clone().into());
        assert_eq!(pairs(&words(&["a=x=y"])).expect("a pair"), single.into());
        assert!(pairs(&words(&["a"])).is_err());
    }
}
