//! A network without anybody: for looking at the directory of a member while no server runs on it.

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::{CallError, Lane, PeerAddress, Transport};

/// Reaches nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Transport for Nobody {
    fn call(
        &self,
        _: &PeerAddress,
        _: Lane,
        _: Bytes,
        _: Duration,
    ) -> BoxFuture<'static, Result<Bytes, CallError>> {
        let nobody = CallError::Unreachable("this node is only looked at".to_owned());
        Box::pin(std::future::ready(Err(nobody)))
    }
}
