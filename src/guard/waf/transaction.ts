// What the rule engine is told of a request and of its answer, and what it says of them. All texts here are byte
// strings: one character, U+0000 to U+00FF, a byte as it was on the wire (`buffer.latin1Slice()`), never decoded
// Unicode; rules match bytes. Who parses bodies fills these; the engine (engine/) reads them and keeps none of them.

/** A name and a value; names may come several times, in the order in which they were sent. */
export type WafField = readonly [name: string, value: string]

/** Known before the body. */
export interface WafRequest {
  readonly method: string
  /** As it was sent: path and query, or an absolute URI. */
  readonly target: string
  /** `HTTP/1.1`, `HTTP/2.0`. */
  readonly protocol: string
  /** The client's address. */
  readonly address: string
  readonly requestId: string
  /** As sent. Cookies and the query's arguments are taken from here by the engine. */
  readonly headers: readonly WafField[]
}

/** How a body was read: rules know it as REQBODY_PROCESSOR. `''`: not at all (no body, or a type that is not parsed). */
export type WafBodyProcessor = 'URLENCODED' | 'MULTIPART' | 'JSON' | 'XML' | ''

export interface WafBody {
  readonly processor: WafBodyProcessor
  /** Length in bytes, before decoding. */
  readonly bytes: number
  /** The body as it came (decoded of its Content-Encoding); `''` where it is not looked at as a whole. */
  readonly text: string
  /** Arguments: fields of forms with percent encodings and `+` decoded; values of JSON under `json.a.b`, `json.list.0`. */
  readonly args: readonly WafField[]
  readonly files: readonly WafFile[]
  /** Header lines of multipart parts: the part's field name, and `Content-Type: text/plain`. */
  readonly partHeaders: readonly WafField[]
  readonly xmlTexts: readonly string[]
  readonly xmlAttributes: readonly string[]
  /** Why the body could not be read strictly; `''`: it could. Rules see it as REQBODY_ERROR. */
  readonly error: string
}

export interface WafFile {
  /** Name of the form's field. */
  readonly field: string
  /** As the client says. */
  readonly name: string
  readonly bytes: number
}

export interface WafAnswer {
  readonly status: number
  readonly protocol: string
  readonly headers: readonly WafField[]
}

/** One rule that matched. */
export interface WafMatch {
  /** Of the rule, as a text: `942100`. */
  readonly rule: string
  readonly message: string
  /** What it found it in: `ARGS:q`. */
  readonly variable: string
  /** At most 32 characters of what matched, control characters escaped; '' where the variable may hold a secret. */
  readonly excerpt: string
  readonly severity: string
  readonly tags: readonly string[]
}

/** What the rules say so far. */
export interface WafJudgement {
  /** A rule said deny or block, or the score reached the threshold: which, and the status that it wants. */
  readonly refused: { readonly rule: string; readonly message: string; readonly status: number } | null
  readonly inboundScore: number
  readonly outboundScore: number
  readonly matches: readonly WafMatch[]
  /** The bound on work was reached: rules after that were not asked. In mode `block` the request is refused. */
  readonly exhausted: boolean
}

/** One request while rules look at it: each method once, in this order; the answer's only where rules look at answers. */
export interface WafTransaction {
  readonly judgement: WafJudgement
  requestHead(request: WafRequest): void
  /** Null: the request has no body. Rules of phase 2 run in any case. */
  requestBody(body: WafBody | null): void
  /** Does a rule want answers of this type: is `answerBody` to be called? */
  wantsAnswerBody(type: string): boolean
  answerHead(answer: WafAnswer): void
  answerBody(text: string): void
}
