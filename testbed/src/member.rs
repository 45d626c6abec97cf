//! Members of the metadata group.

use crate::proxy::PRODUCT;
use crate::{Host, PATIENCE, Process, free_port};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a [`Member`] is started with.
#[derive(Debug, Clone)]
pub struct MemberOptions {
    /// The program, codis-meta.
    pub binary: PathBuf,
    /// `product_name`.
    pub product: String,
    /// Lines of the configuration file that come before the ones made here.
    pub config: String,
    /// `admin_addr`, where everybody reaches it.
    pub address: String,
    /// `members`, each `id@host:port`; empty for a member alone.
    pub members: Vec<String>,
    /// `data_dir`; in the member's own folder when `None`.
    pub data_dir: Option<PathBuf>,
    /// The machine that it runs on; this one when `None`.
    pub host: Option<Arc<Host>>,
}

impl MemberOptions {
    /// A member that is a group by itself, on a free port of the loopback interface.
    #[must_use]
    pub fn alone(binary: &Path) -> Self {
        Self {
            binary: binary.to_owned(),
            product: PRODUCT.to_owned(),
            config: String::new(),
            address: format!("127.0.0.1:{}", free_port()),
            members: Vec::new(),
            data_dir: None,
            host: None,
        }
    }

    /// The founding members of a group, on free ports of the loopback interface.
    #[must_use]
    pub fn founders(binary: &Path, count: usize) -> Vec<Self> {
        Self::name_each_other((0..count).map(|_| Self::alone(binary)).collect())
    }

    /// The founding members of a group, each on a machine of its own.
    #[must_use]
    pub fn founders_on(binary: &Path, hosts: &[Arc<Host>]) -> Vec<Self> {
        let on = |host: &Arc<Host>| Self {
            address: format!("{}:18080", host.ip()),
            host: Some(Arc::clone(host)),
            ..Self::alone(binary)
        };
        Self::name_each_other(hosts.iter().map(on).collect())
    }

    /// Adds a line to the configuration file.
    #[must_use]
    pub fn set(mut self, line: &str) -> Self {
        self.config.push_str(line);
        self.config.push('\n');
        self
    }

    fn name_each_other(mut all: Vec<Self>) -> Vec<Self> {
        let named = |(i, options): (usize, &Self)| format!("{}@{}", i + 1, options.address);
        let members: Vec<String> = all.iter().enumerate().map(named).collect();
        for options in &mut all {
            options.members.clone_from(&members);
        }
        all
    }
}

/// A running codis-meta, in a folder of its own. Ends when dropped.
#[derive(Debug)]
pub struct Member {
    options: MemberOptions,
    // Before its folder, where its last words are.
    process: Process,
    folder: TempDir,
}

impl Member {
    /// Starts one and waits until it takes connections.
    ///
    /// # Panics
    /// When it does not come up; with what it printed.
    #[must_use]
    pub fn start(options: MemberOptions) -> Self {
        let mut member = Self::launch(options);
        member.wait_until_it_listens();
        member
    }

    /// Starts one and does not wait for it.
    ///
    /// # Panics
    /// When the program cannot be run.
    #[must_use]
    pub fn launch(options: MemberOptions) -> Self {
        let folder = TempDir::with_prefix("codis-meta-").expect("a temporary folder can be made");
        write_config(&options, folder.path());
        let process = run(&options, folder.path());
        Self { options, process, folder }
    }

    /// `host:port` of everything that it serves.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.options.address
    }

    /// The machine that it runs on, if that is not this one.
    #[must_use]
    pub fn host(&self) -> Option<&Host> {
        self.options.host.as_deref()
    }

    /// What it was started with.
    #[must_use]
    pub fn options(&self) -> &MemberOptions {
        &self.options
    }

    /// Where its log and its image are.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        data_dir(&self.options, self.folder.path())
    }

    /// Its process, to freeze or look at.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its process, to wait for.
    #[must_use]
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Kills it (SIGKILL); its data stays.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same data, and does not wait for it.
    pub fn relaunch(&mut self) {
        self.process.kill();
        self.process = run(&self.options, self.folder.path());
    }

    /// Starts it again on the same data, and waits until it takes connections.
    ///
    /// # Panics
    /// When it does not come up; with what it printed.
    pub fn restart(&mut self) {
        self.relaunch();
        self.wait_until_it_listens();
    }

    /// Waits until it takes connections.
    ///
    /// # Panics
    /// When it ends instead, or takes too long; with what it printed.
    pub fn wait_until_it_listens(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = TcpStream::connect(&self.options.address) {
            if let Some(status) = self.process.ended() {
                panic!("the member ended ({status}); it printed: {}", self.process.printed());
            }
            let printed = || self.process.printed();
            assert!(
                Instant::now() < deadline,
                "no connection ({error}); it printed: {}",
                printed()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The members that found a group together.
#[derive(Debug)]
pub struct MemberGroup {
    /// Member `i` has the id `i + 1`.
    pub members: Vec<Member>,
}

impl MemberGroup {
    /// Starts members that name each other, and waits until each takes connections.
    ///
    /// # Panics
    /// When one does not come up; with what it printed.
    #[must_use]
    pub fn start(founders: Vec<MemberOptions>) -> Self {
        // All of them first: they wait for each other.
        let mut members: Vec<Member> = founders.into_iter().map(Member::launch).collect();
        members.iter_mut().for_each(Member::wait_until_it_listens);
        Self { members }
    }

    /// `host:port` of each member.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.members.iter().map(|member| member.address().to_owned()).collect()
    }
}

fn data_dir(options: &MemberOptions, folder: &Path) -> PathBuf {
    options.data_dir.clone().unwrap_or_else(|| folder.join("data"))
}

fn write_config(options: &MemberOptions, folder: &Path) {
    let MemberOptions { product, config, address, members, .. } = options;
    let data_dir = data_dir(options, folder);
    let text = format!(
        "{config}product_name = \"{product}\"\nadmin_addr = \"{address}\"\ndata_dir = {data_dir:?}\n\
         members = {members:?}\n"
    );
    std::fs::write(folder.join("meta.toml"), text).expect("the folder can be written");
}

fn run(options: &MemberOptions, folder: &Path) -> Process {
    let args = ["-c".to_owned(), folder.join("meta.toml").display().to_string()];
    let log = folder.join("output");
    match &options.host {
        None => Process::start(&options.binary, &args, &log),
        Some(host) => {
            let (program, args) = host.command(&options.binary, &args);
            Process::start(&program, &args, &log)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MemberOptions;
    use std::path::Path;

    #[test]
    fn founders_name_each_other_in_the_same_words() {
        let founders = MemberOptions::founders(Path::new("codis-meta"), 3);
        let expected: Vec<String> =
            (0..3).map(|i| format!("{}@{}", i + 1, founders[i].address)).collect();
        assert!(founders.iter().all(|options| options.members == expected));
    }
}
