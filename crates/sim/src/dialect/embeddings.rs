//! OpenAI's embeddings. The vectors are constant: nobody here looks at them.

use serde_json::{Value, json};

use super::Reply;

const VECTOR: [f32; 8] = [0.125; 8];
/// The same 8 little-endian floats, as the Python SDK asks for them by default.
const VECTOR_BASE64: &str = "AAAAPgAAAD4AAAA+AAAAPgAAAD4AAAA+AAAAPgAAAD4=";

pub(super) fn whole(reply: &Reply) -> Value {
    let vector = if reply.base64 { Value::from(VECTOR_BASE64) } else { json!(VECTOR) };
    let data: Vec<_> =
        (0..reply.inputs).map(|index| json!({"object": "embedding", "index": index, "embedding": vector})).collect();
    let mut whole = json!({"object": "list", "data": data, "model": reply.model});
    if reply.has_usage() {
        whole["usage"] = json!({"prompt_tokens": reply.input, "total_tokens": reply.input});
    }
    whole
}
