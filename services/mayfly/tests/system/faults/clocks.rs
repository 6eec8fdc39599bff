//! Clocks that jump.

use std::fs;

use mayfly_check::Workload;
use mayfly_contracts::{
    ErrorInfo,
    error::ErrorReason,
    message::{
        AcknowledgeViewRequest, CreateMessageRequest, CreateMessageResponse, LookupMessageRequest, MessageState,
        ViewMessageRequest,
    },
};
use mayfly_testkit::{TestDatabase, on_each_database};

use super::load_run::{Run, all_clients, assert_guarantees, name_on, rounds};
use crate::harness::{Layout, Options, System, wait_until};

const MINE: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";
const YOURS: &str = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e12";

/// The path of libfaketime, which Debian puts into a folder named after the architecture.
fn library() -> String {
    let mut folders = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let found = folders.find_map(|folder| {
        let library = folder.join("faketime/libfaketimeMT.so.1");
        library.exists().then(|| library.display().to_string())
    });
    found.expect("this test needs libfaketime: apt-get install libfaketime")
}

/// Environment variables that shift the clock of a process by the offset in `file`. Timers are not affected.
fn faketime_environment<'test>(library: &'test str, file: &'test str) -> [(&'test str, &'test str); 5] {
    let timers = ("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    // The grace period depends on the clock, so it must be longer than the jumps.
    let grace = ("MAYFLY_VIEW_GRACE", "1d");
    [("LD_PRELOAD", library), ("FAKETIME_TIMESTAMP_FILE", file), ("FAKETIME_NO_CACHE", "1"), timers, grace]
}

struct ClockFixture {
    system: System,
    file: String,
}

impl ClockFixture {
    async fn start(database: &TestDatabase) -> Self {
        let file = database.folder().join("time").display().to_string();
        fs::write(&file, "+0").unwrap();
        let library = library();
        let environment = faketime_environment(&library, &file);
        let options = Options { store_environment: &environment, ..Options::default() };
        Self { system: System::start(Layout::Three, database, options).await, file }
    }

    /// Sets the offset of the store's clock.
    fn jump(&self, offset: &str) {
        // Atomically, since an empty file would be another offset.
        let draft = format!("{}.new", self.file);
        fs::write(&draft, offset).unwrap();
        fs::rename(draft, &self.file).unwrap();
    }

    async fn create(&self, text: &str, seconds: i64) -> CreateMessageResponse {
        let ttl = Some(prost_types::Duration { seconds, nanos: 0 });
        let request = CreateMessageRequest { ttl, ..CreateMessageRequest::from_text(text) };
        self.system.messages().create_message(request).await.unwrap().into_inner()
    }

    async fn state(&self, message: &CreateMessageResponse) -> MessageState {
        let lookup = LookupMessageRequest { id: message.id, access_token: message.access_token.clone() };
        self.system.messages().lookup_message(lookup).await.unwrap().into_inner().state()
    }

    /// Returns the text, or the reason of the error.
    async fn view(&self, message: &CreateMessageResponse, view_id: &str) -> Result<String, ErrorReason> {
        let (id, access_token, view_id) = (message.id, message.access_token.clone(), view_id.to_owned());
        let request = ViewMessageRequest { id, access_token, view_id, ..ViewMessageRequest::default() };
        let viewed = self.system.messages().view_message(request).await;
        viewed
            .map(|viewed| viewed.into_inner().text().unwrap().to_owned())
            .map_err(|status| ErrorInfo::from_status(&status).reason)
    }
}

on_each_database! {
    async fn the_clock_jumps_back_and_forth_with_faketime(database: TestDatabase) {
        let fixture = ClockFixture::start(&database).await;
        let run = Run::begin(&name_on(&database, "clock-jumps"), all_clients(&fixture.system), Workload::default());
        for round in 0..rounds() {
            run.wait_for_outcomes(30).await;
            // A leap second without smearing is a jump of one second back.
            let offset = ["+1h", "-1h", "+1", "+0", "-7h", "+0"][usize::try_from(round % 6).unwrap()];
            run.fault(&format!("the store's clock jumps to {offset}"));
            fixture.jump(offset);
        }
        assert_guarantees(run.verdict().await, rounds());
    }

    /// Negative control: a clock that jumps beyond all lifetimes expires unread messages, and the verifier detects
    /// that.
    async fn a_clock_that_jumps_beyond_all_lifetimes_is_detected_with_faketime(database: TestDatabase) {
        let fixture = ClockFixture::start(&database).await;
        let name = name_on(&database, "clock-jumps-beyond-lives.control");
        let control = Run::begin(&name, all_clients(&fixture.system), Workload::default());
        for jump in 1..=10 {
            control.wait_for_outcomes(30).await;
            control.fault("the store's clock jumps beyond all lifetimes");
            // A message lives for 30 days.
            fixture.jump(&format!("+{}d", jump * 40));
        }
        let control = control.verdict().await;
        assert!(!control.is_valid(), "{control}");
    }

    /// Each process has its own clock, and only that of the store matters.
    async fn the_clocks_of_all_roles_differ_by_decades_with_faketime(database: TestDatabase) {
        let library = library();
        let at = |name: &str, offset: &str| {
            let file = database.folder().join(name).display().to_string();
            fs::write(&file, offset).unwrap();
            file
        };
        let files = [at("store-time", "+10y"), at("gateway-time", "-10y"), at("bot-time", "+1h")];
        let environments = files.each_ref().map(|file| faketime_environment(&library, file));
        let options = Options {
            store_environment: &environments[0],
            gateway_environment: &environments[1],
            bot_environment: &environments[2],
            ..Options::default()
        };
        let system = System::start(Layout::Three, &database, options).await;
        let run = Run::begin(&name_on(&database, "clocks-decades-apart"), all_clients(&system), Workload::default());
        run.fault("the roles have different clocks");
        for _ in 0..rounds() {
            run.wait_for_outcomes(60).await;
        }
        assert_guarantees(run.verdict().await, 1);
    }

    async fn a_clock_that_jumps_by_decades_never_extends_a_lifetime_with_faketime(database: TestDatabase) {
        let fixture = ClockFixture::start(&database).await;
        let (unread, claimed) = (fixture.create("unread", 3600).await, fixture.create("claimed", 3600).await);
        assert_eq!(fixture.view(&claimed, MINE).await.unwrap(), "claimed");

        fixture.jump("-10y");
        let early = fixture.create("early", 3600).await;
        assert_eq!(fixture.state(&unread).await, MessageState::Unread, "a clock that is slow expires nothing");
        assert_eq!(fixture.view(&claimed, MINE).await.unwrap(), "claimed");
        assert_eq!(fixture.view(&claimed, YOURS).await, Err(ErrorReason::MessageViewed));

        fixture.jump("+0");
        assert_eq!(fixture.state(&early).await, MessageState::Expired, "its lifetime of an hour has passed");
        assert_eq!(fixture.view(&early, MINE).await, Err(ErrorReason::MessageExpired));
        assert_eq!(fixture.view(&claimed, MINE).await.unwrap(), "claimed", "the grace period has not moved");
        let (id, access_token) = (claimed.id, claimed.access_token.clone());
        let acknowledgement = AcknowledgeViewRequest { id, access_token, view_id: MINE.to_owned() };
        fixture.system.messages().acknowledge_view(acknowledgement).await.unwrap();

        fixture.jump("+10y");
        assert_eq!(fixture.view(&unread, MINE).await, Err(ErrorReason::MessageExpired));
        assert!(fixture.view(&claimed, MINE).await.is_err());
    }

    /// A message is never readable after its expiry, and a clock that goes back does not restore it.
    async fn an_expired_message_stays_expired_when_the_clock_goes_back_with_faketime(database: TestDatabase) {
        let mut fixture = ClockFixture::start(&database).await;
        let message = fixture.create("hello", 3600).await;
        fixture.jump("-2h");
        assert_eq!(fixture.state(&message).await, MessageState::Unread);
        fixture.jump("+2h");
        wait_until("the message has expired", async || fixture.state(&message).await == MessageState::Expired).await;
        assert_eq!(fixture.view(&message, "").await, Err(ErrorReason::MessageExpired));
        wait_until("the sweep at the start has stored the expiry", async || {
            fixture.jump("+2h");
            fixture.system.processes[0].kill().await;
            fixture.system.processes[0].restart();
            fixture.system.wait_until_ready().await;
            fixture.jump("+0");
            fixture.state(&message).await == MessageState::Expired
        })
        .await;
    }
}
