//! The seam between the replicated log and the state that it replicates.

/// A snapshot's bytes could not be made into a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot cannot be restored: {reason}")]
pub struct RestoreError {
    /// What is wrong with the bytes, fit for a person.
    pub reason: String,
}

/// What a group of members replicates.
///
/// Deterministic: the same commands in the same order make the same state, the same outcomes and
/// the same snapshot bytes on every member. No clock, no randomness, no I/O.
pub trait StateMachine {
    /// Applies one committed command and returns its outcome, for whoever proposed it.
    ///
    /// `index` is the command's place in the log; it rises from call to call. A command that cannot
    /// be carried out is an outcome that says so, never a panic: every member applies it.
    fn apply(&mut self, index: u64, command: &[u8]) -> Vec<u8>;

    /// The whole state as bytes.
    fn snapshot(&self) -> Vec<u8>;

    /// Replaces the whole state by that of a snapshot.
    ///
    /// # Errors
    ///
    /// The bytes are not a snapshot, or of a version that this build does not know. The state is
    /// then not to be used any more: the member stops.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError>;
}
