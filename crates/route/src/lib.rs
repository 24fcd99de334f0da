//! Which upstream serves a request, and who is asking.
//!
//! Everything here is decided by configuration and by the request's head (and its `model`, where routes name models):
//! nothing in a request can name an upstream address. The functions are pure; the proxy calls them once a request.

mod base_path;
mod caller;
mod endpoint;
mod labels;
mod model;
mod path;
mod table;
mod target;

pub use caller::{KeyNames, is_limpid_field};
pub use endpoint::classify;
pub use labels::{BadSource, LabelRules, LabelSource};
pub use model::{ModelIn, model_in};
pub use path::{decoded, has_dot_segments};
pub use table::{Match, ModelPattern, RouteTable, Routed, Subject};
pub use target::{Scheme, Target, TargetError};
