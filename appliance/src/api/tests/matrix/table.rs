//! What each role gets from each route.

/// What each role gets from each route, by how its account stands to what the path names:
///
/// - `own`: of the tenant `larkfield`, which the path's things belong to; reads all its collections
/// - `listed`, `unlisted`: the same, but lists the collection `procedures` only; the path names that one, or another
/// - `other`: of `larkfield`; the path or query names a thing of the tenant `riverside`
/// - `site`: an account of no tenant; `.` for roles that cannot have one
/// - `raw`: `own`, naming a raw model instead of the assistant
/// - `nowhere`: an account of no tenant that names none
/// - `unredacted`: `own`, asking for a capture as it was said
/// - `person`: `own`, signed in with a password; `.` for programs, which have none
/// - `anyone`: no key at all, for routes that are open; nothing is recorded
///
/// 404 stands where a caller who may search a tenant's collections names one that the tenant does not have, where one
/// ends a session that is not theirs, and where one names a file, a batch or a capture that there is not. 401 stands where a
/// name and a password are asked for, whatever key is shown; 400 where a request has a key and not the cookie that it is
/// about, or where what is sent is no form.
///
/// A new route needs its rows here, a case in [`sample`](super::sample), and an action that a policy permits to someone.
pub(super) const TABLE: &str = "
                agent reviewer knowledge_manager compliance operator administrator service
GET /v1/models
    own         200 200 200 403 200 200 200
    site        .   .   .   403 200 200 .
GET /v1/models/{model}
    own         200 200 200 403 404 404 200
    site        .   .   .   403 404 404 .
POST /v1/chat/completions
    own         200 200 200 403 403 403 200
    raw         403 403 403 403 403 403 200
    site        .   .   .   403 403 403 .
POST /v1/completions
    own         403 403 403 403 403 403 200
    site        .   .   .   403 403 403 .
POST /v1/embeddings
    own         403 403 403 403 403 403 200
    site        .   .   .   403 403 403 .
POST /v1/files
    own         403 403 403 403 403 403 400
    site        .   .   .   403 403 403 .
GET /v1/files
    own         403 403 403 403 403 403 200
    site        .   .   .   403 403 403 .
GET /v1/files/{file}
    own         403 403 403 403 403 403 404
    site        .   .   .   403 403 403 .
GET /v1/files/{file}/content
    own         403 403 403 403 403 403 404
    site        .   .   .   403 403 403 .
DELETE /v1/files/{file}
    own         403 403 403 403 403 403 404
    site        .   .   .   403 403 403 .
POST /v1/batches
    own         403 403 403 403 403 403 404
    site        .   .   .   403 403 403 .
GET /v1/batches
    own         403 403 403 403 403 403 200
    site        .   .   .   403 403 403 .
GET /v1/batches/{batch}
    own         403 403 403 403 403 403 404
    site        .   .   .   403 403 403 .
POST /v1/batches/{batch}/cancel
    own         403 403 403 403 403 403 404
    site        .   .   .   403 403 403 .
POST /v1/rerank
    own         403 403 403 403 403 403 200
    site        .   .   .   403 403 403 .
POST /v1/moderations
    own         403 403 200 403 403 403 200
    site        .   .   .   403 403 403 .
POST /guardrail/{id}/version/{version}/apply
    own         403 403 200 403 403 403 200
    listed      403 403 200 403 403 403 200
    unlisted    403 403 200 403 403 403 200
    other       403 403 403 403 403 403 403
    site        .   .   .   403 403 403 .
GET /api/guardrails
    own         403 403 200 200 403 200 200
    site        .   .   .   403 403 403 .
GET /api/guardrails/{version}
    own         403 403 200 200 403 200 200
    site        .   .   .   403 403 403 .
POST /rerank
    own         403 403 403 403 403 403 200
    site        .   .   .   403 403 403 .
POST /api/rerank
    own         403 403 403 403 403 403 200
    site        .   .   .   403 403 403 .
POST /api/ask
    own         200 200 200 403 403 403 200
    listed      200 200 200 403 403 403 200
    unlisted    404 404 404 403 403 403 404
    other       404 404 404 403 403 403 404
    site        .   .   .   403 403 403 .
GET /api/collections
    own         200 200 200 403 403 403 200
    site        .   .   .   403 403 403 .
GET /api/collections/{id}/documents
    own         200 200 200 403 403 403 200
    listed      200 200 200 403 403 403 200
    unlisted    403 403 403 403 403 403 403
    other       404 404 404 403 403 403 404
    site        .   .   .   403 403 403 .
GET /api/collections/{id}/documents/{document}
    own         200 200 200 403 403 403 403
    listed      200 200 200 403 403 403 403
    unlisted    403 403 403 403 403 403 403
    other       404 404 404 403 403 403 403
    site        .   .   .   403 403 403 .
POST /api/collections/{id}/search
    own         200 200 200 403 403 403 200
    listed      200 200 200 403 403 403 200
    unlisted    403 403 403 403 403 403 403
    other       404 404 404 403 403 403 404
    site        .   .   .   403 403 403 .
GET /api/audit/records
    own         403 403 403 200 403 403 403
    other       403 403 403 403 403 403 403
    site        .   .   .   200 403 403 .
GET /api/captures
    own         403 403 403 200 403 403 403
    other       403 403 403 403 403 403 403
    site        .   .   .   200 403 403 .
    nowhere     .   .   .   403 403 403 .
GET /api/captures/{capture}
    own         403 403 403 404 403 403 403
    other       403 403 403 403 403 403 403
    site        .   .   .   404 403 403 .
    unredacted  403 403 403 403 403 403 403
GET /metrics
    own         403 403 403 200 200 200 403
    site        .   .   .   200 200 200 .
POST /knowledgebases/{id}/retrieve
    own         200 200 200 403 403 403 200
    listed      200 200 200 403 403 403 200
    unlisted    403 403 403 403 403 403 403
    other       404 404 404 403 403 403 404
    site        .   .   .   403 403 403 .
POST /retrieveAndGenerate
    own         200 200 200 403 403 403 200
    unlisted    404 404 404 403 403 403 404
    other       404 404 404 403 403 403 404
    site        .   .   .   403 403 403 .
POST /retrieveAndGenerateStream
    own         200 200 200 403 403 403 200
    unlisted    404 404 404 403 403 403 404
    other       404 404 404 403 403 403 404
    site        .   .   .   403 403 403 .
POST /model/{model}/converse
    own         200 200 200 403 403 403 200
    raw         403 403 403 403 403 403 200
    site        .   .   .   403 403 403 .
POST /model/{model}/converse-stream
    own         200 200 200 403 403 403 200
    raw         403 403 403 403 403 403 200
    site        .   .   .   403 403 403 .
POST /api/sign-in
    own         401 401 401 401 401 401 401
    site        .   .   .   401 401 401 .
GET /api/sign-in
    own         400 400 400 400 400 400 400
    site        .   .   .   400 400 400 .
POST /api/sign-out
    own         400 400 400 400 400 400 400
    site        .   .   .   400 400 400 .
DELETE /api/sessions/{session}
    own         404 404 404 404 404 404 404
    site        .   .   .   404 404 404 .
POST /api/sessions/{session}/reidentify
    own         403 403 403 403 403 403 403
    other       403 403 403 403 403 403 403
    site        .   .   .   403 403 403 .
POST /api/break-glass
    own         403 403 403 403 403 403 403
    person      201 201 201 403 403 403 .
    site        .   .   .   403 403 403 .
GET /api/break-glass
    own         403 403 403 403 403 403 403
    person      200 200 200 403 403 403 .
    site        .   .   .   403 403 403 .
DELETE /api/break-glass
    own         403 403 403 403 403 403 403
    person      204 204 204 403 403 403 .
    site        .   .   .   403 403 403 .
GET /api/break-glass/reviews
    own         403 403 403 200 403 403 403
    person      403 403 403 200 403 403 .
    site        .   .   .   200 403 403 .
GET /api/break-glass/reviews/{emergency}
    own         403 403 403 200 403 403 403
    other       403 403 403 404 403 403 403
    site        .   .   .   200 403 403 .
POST /api/break-glass/reviews/{emergency}
    own         403 403 403 204 403 403 403
    other       403 403 403 404 403 403 403
    site        .   .   .   400 403 403 .
GET /api/openapi.json
    anyone      200
GET /api/docs
    anyone      200
GET /livez
    anyone      200
GET /readyz
    anyone      200
";
