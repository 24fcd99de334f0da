//! Sans-I/O observers of requests and responses.
