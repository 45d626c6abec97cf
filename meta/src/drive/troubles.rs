//! What is not as it should be, for operators to read.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What a trouble is about; each has one sentence at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    /// Proxies that were removed by force and cannot be shut out.
    Fence,
    /// A server, by its address.
    Server(String),
}

/// The troubles of the moment.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    sentences: Mutex<BTreeMap<About, String>>,
}

impl Troubles {
    /// Sets what is wrong with `about`; `None` when nothing is. Logged when it is new.
    pub(super) fn set(&self, about: About, sentence: Option<String>) {
        let mut sentences = self.sentences.lock().unwrap_or_else(PoisonError::into_inner);
        match sentence {
            None => drop(sentences.remove(&about)),
            Some(sentence) => {
                if sentences.get(&about) != Some(&sentence) {
                    tracing::warn!("{sentence}");
                }
                sentences.insert(about, sentence);
            }
        }
    }

    /// Forgets servers that `known` does not know.
    pub(super) fn retain_servers(&self, known: impl Fn(&str) -> bool) {
        let mut sentences = self.sentences.lock().unwrap_or_else(PoisonError::into_inner);
        sentences.retain(|about, _| match about {
            About::Server(address) => known(address),
            About::Fence => true,
        });
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        self.sentences.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<String> {
        let sentences = self.sentences.lock().unwrap_or_else(PoisonError::into_inner);
        sentences.values().cloned().collect()
    }
}
