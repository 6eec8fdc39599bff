//! Has the gateway built anew whenever the web page was built anew, which the macro that embeds it cannot do.

use std::path::Path;

fn main() {
    let (built, sources) = ("../web/dist", "../web");
    // A path that does not exist would have the gateway built anew every time.
    let watched = if Path::new(built).is_dir() { built } else { sources };
    println!("cargo:rerun-if-changed={watched}");
}
