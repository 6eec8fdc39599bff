//! The connections of a process and their requests. The server closes idle connections to make room: first those
//! without any request, then those that have been idle for longest.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::response::Response;

use super::activity::{Activity, LongLived, hold_until_sent};

/// The open connections of a process.
#[derive(Debug, Default)]
pub(super) struct OpenConnections {
    connections: Mutex<Connections>,
    /// `true` if the next connection that becomes idle should close.
    needs_room: AtomicBool,
}

#[derive(Debug, Default)]
struct Connections {
    opened: u64,
    by_number: HashMap<u64, Arc<Activity>>,
}

/// An open connection. Ends when dropped.
#[derive(Debug)]
pub(super) struct OpenConnection {
    connections: Arc<OpenConnections>,
    number: u64,
    activity: Arc<Activity>,
}

/// An open request. Ends when dropped.
#[derive(Debug)]
pub(super) struct OpenRequest {
    connection: Arc<OpenConnection>,
    number: u64,
}

impl OpenConnections {
    /// Registers a new connection.
    pub(super) fn open(self: &Arc<Self>) -> OpenConnection {
        let activity = Arc::new(Activity::new());
        let mut connections = self.lock();
        connections.opened += 1;
        let number = connections.opened;
        connections.by_number.insert(number, Arc::clone(&activity));
        OpenConnection { connections: Arc::clone(self), number, activity }
    }

    /// Closes an idle connection. If there is none, closes the next one that becomes idle.
    pub(super) fn close_one(&self) {
        let connections = self.lock();
        let idle = connections.by_number.values().filter_map(|activity| Some((activity.idle_time()?, activity)));
        let longest = idle.max_by_key(|(time, _)| *time);
        let is_closing = longest.is_some_and(|(_, activity)| activity.close_if_idle());
        self.needs_room.store(!is_closing, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenConnection {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Closes the connection, which has become idle, if another one needs its room.
    fn make_room(&self) {
        if self.connections.needs_room.swap(false, Ordering::Relaxed) && !self.activity.close_if_idle() {
            self.connections.needs_room.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.lock().by_number.remove(&self.number);
    }
}

impl OpenRequest {
    /// Begins a request of a connection.
    pub(super) fn begin(connection: &Arc<OpenConnection>) -> Self {
        Self { connection: Arc::clone(connection), number: connection.activity.begin_request() }
    }

    /// Keeps the request open until the body of `response` was sent or dropped.
    pub(super) fn until_sent(self, response: Response) -> Response {
        if response.extensions().get::<LongLived>().is_none() {
            self.connection.activity.begin_sending(self.number);
        }
        hold_until_sent(response, self)
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if self.connection.activity.end_request(self.number) {
            self.connection.make_room();
        }
    }
}
