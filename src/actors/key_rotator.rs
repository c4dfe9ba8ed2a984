//! Publishes the signing keys.
//!
//! - Owns: the decision which keys are in force. They come from the configuration, so this actor
//!   reloads them when that is swapped.
//! - Caches: the parsed keys, readable without a lock and without this actor.
//! - Writes through: nothing.
//! - On restart: the published keys stay in force; they are loaded again.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use super::parts::Parts;
use super::runtime::handle::{CallBound, Crash, Handle, MessageOrigin};
use super::runtime::supervisor::ChildSpec;
use crate::config::LiveConfig;
use crate::tokens::keys::{KeyError, KeySet};

/// The keys in force; reading costs no lock.
pub type Keys = Arc<ArcSwap<KeySet>>;

/// Messages of the key rotator.
pub enum KeyRotatorMsg {
    /// The configuration was swapped; replies with the error if its keys cannot be used, in which
    /// case the old ones stay in force.
    Reload(RpcReplyPort<Result<(), Arc<KeyError>>>),
    /// Panic.
    Crash,
}

impl MessageOrigin for KeyRotatorMsg {
    fn is_from_caller(&self) -> bool {
        matches!(self, Self::Reload(_) | Self::Crash)
    }
}

impl Crash for KeyRotatorMsg {
    fn crash() -> Self {
        Self::Crash
    }
}

impl CallBound for KeyRotatorMsg {}

/// The handle, and the child that the tree starts.
pub fn start(parts: &Parts) -> (Handle<KeyRotatorMsg>, ChildSpec) {
    let slot = Arc::default();
    let args = KeyRotatorArgs { config: Arc::clone(&parts.config), keys: Arc::clone(&parts.keys) };
    let child = ChildSpec::actor("key_rotator", &slot, || KeyRotator, move || args.clone());
    (Handle::configured("key rotator", slot, &parts.config.load()), child)
}

/// The actor.
pub struct KeyRotator;

/// What the key rotator works with, and all of its state.
#[derive(Clone)]
pub struct KeyRotatorArgs {
    pub config: LiveConfig,
    pub keys: Keys,
}

impl Actor for KeyRotator {
    type Msg = KeyRotatorMsg;
    type State = KeyRotatorArgs;
    type Arguments = KeyRotatorArgs;

    async fn pre_start(
        &self,
        _myself: ActorRef<KeyRotatorMsg>,
        args: KeyRotatorArgs,
    ) -> Result<KeyRotatorArgs, ActorProcessingErr> {
        Ok(args)
    }

    async fn handle(
        &self,
        _myself: ActorRef<KeyRotatorMsg>,
        message: KeyRotatorMsg,
        state: &mut KeyRotatorArgs,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            KeyRotatorMsg::Reload(reply) => {
                // The caller may have given up.
                let _ = reply.send(state.reload().map_err(Arc::new));
            }
            KeyRotatorMsg::Crash => panic!("the key rotator was told to crash"),
        }
        Ok(())
    }
}

impl KeyRotatorArgs {
    fn reload(&self) -> Result<(), KeyError> {
        let keys = KeySet::from_secret(&self.config.load().tokens.jwt_secret)?;
        self.keys.store(Arc::new(keys));
        Ok(())
    }
}
