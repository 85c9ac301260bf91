//! The real clients behind a real controller: metered to the token, refused once, cut in the
//! middle of an answer.

mod cut;
mod places;
mod scene;
mod spent;
mod websocket;
mod whole;
