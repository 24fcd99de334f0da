//! Which upstream serves a request, and who is asking.
