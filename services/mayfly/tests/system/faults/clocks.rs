//! Clocks that jump.

use std::fs;

use mayfly_check::Habits;
use mayfly_contracts::message::{CreateMessageRequest, LookupMessageRequest, MessageState, ViewMessageRequest};
use mayfly_testkit::TestDatabase;

use super::trial::{Trial, all_doors, assert_kept, rounds};
use crate::harness::{Layout, Options, System, until};

/// Where Debian puts it, in a folder named after the machine's kind.
fn library() -> String {
    let mut folders = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let found = folders.find_map(|folder| {
        let library = folder.join("faketime/libfaketimeMT.so.1");
        library.exists().then(|| library.display().to_string())
    });
    found.expect("this test needs libfaketime: apt-get install libfaketime")
}

/// What makes a process believe the offset in `file`; timers go on as they are.
fn faked<'test>(library: &'test str, file: &'test str) -> [(&'test str, &'test str); 5] {
    let timers = ("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    // The grace is counted by the clock, so it must be longer than the jumps.
    let grace = ("MAYFLY_VIEW_GRACE", "1d");
    [("LD_PRELOAD", library), ("FAKETIME_TIMESTAMP_FILE", file), ("FAKETIME_NO_CACHE", "1"), timers, grace]
}

struct Faked {
    system: System,
    file: String,
}

impl Faked {
    async fn start() -> Self {
        let database = TestDatabase::sqlite().unwrap();
        let file = database.folder().join("time").display().to_string();
        fs::write(&file, "+0").unwrap();
        let library = library();
        let environment = faked(&library, &file);
        let options = Options { store_environment: &environment, ..Options::default() };
        Self { system: System::start(Layout::Three, &database, options).await, file }
    }

    /// Moves the store's clock to so much from the true time.
    fn jump(&self, offset: &str) {
        // As one step: a file that is empty for a moment would be another time.
        let draft = format!("{}.new", self.file);
        fs::write(&draft, offset).unwrap();
        fs::rename(draft, &self.file).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_jumps_back_and_forth() {
    let faked = Faked::start().await;
    let trial = Trial::begin("clock-jumps", all_doors(&faked.system), Habits::default());
    for round in 0..rounds() {
        trial.progress(30).await;
        let offset = ["+1h", "-1h", "+1", "-7h", "+0"][usize::try_from(round % 5).unwrap()];
        trial.fault(&format!("the store's clock jumps to {offset}"));
        faked.jump(offset);
    }
    assert_kept(trial.verdict().await, rounds());
}

/// Nothing is readable after its expiry, and what the clock has taken it does not give back.
#[tokio::test(flavor = "multi_thread")]
async fn what_expired_stays_expired_when_the_clock_goes_back() {
    let mut faked = Faked::start().await;
    let ttl = Some(prost_types::Duration { seconds: 3600, nanos: 0 });
    let request = CreateMessageRequest { ttl, ..CreateMessageRequest::of_text("hello") };
    let message = faked.system.messages().create_message(request).await.unwrap().into_inner();
    let lookup = LookupMessageRequest { id: message.id, access_token: message.access_token.clone() };
    let view = ViewMessageRequest { id: message.id, access_token: message.access_token, ..Default::default() };
    let state = async |faked: &Faked| {
        faked.system.messages().lookup_message(lookup.clone()).await.unwrap().into_inner().state()
    };

    faked.jump("-2h");
    assert_eq!(state(&faked).await, MessageState::Unread, "a clock that is behind takes nothing");
    faked.jump("+2h");
    until("it is expired", async || state(&faked).await == MessageState::Expired).await;
    assert_eq!(faked.system.messages().view_message(view).await.unwrap_err().code(), tonic::Code::NotFound);
    until("the sweep that comes with a start writes it down", async || {
        faked.jump("+2h");
        faked.system.processes[0].kill().await;
        faked.system.processes[0].start_again();
        faked.system.ready().await;
        faked.jump("+0");
        state(&faked).await == MessageState::Expired
    })
    .await;
}
