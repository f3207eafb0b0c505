// What a part of the guard that looks at answers sees of them: the edge's response steps and sinks, by their shape only.

import type { Http1ResponseHead } from '../wire/http1/index.ts'
import type { Passage, PassageClient, PassageEdits, PassageRefusal } from './passage.ts'

/** The exchange, while an instance's answer passes. */
export interface AnswerPassage extends Passage {
  readonly client: (PassageClient & AnswerClient) | null
  /** The head goes to the client, as the route's rules and `edits` have it; with the framing of what will be sent. */
  sendHead(head: Http1ResponseHead, bodyFraming: number, edits: PassageEdits | null): void
  /** All has been written by a sink. */
  sinkDone(trailers: readonly string[] | null): void
  /** A sink can't go on: what the client has is not whole. */
  sinkFailed(error: string): void
  /** Nothing of the instance's answer is wanted; nothing went out yet. */
  giveUpAnswer(): void
  /** The request once more, with the edits of now; only of one without a body. Nothing went out yet. */
  askAgain(): void
  /** The instance may send more again. */
  resumeResponse(): void
  /** An answer of our own instead, after `giveUpAnswer`: with the id of the request. */
  refuse(refusal: PassageRefusal): void
  /** Time has passed since whatever called: whoever comes back from elsewhere says so before all else. */
  refreshClock(): void
}

/** The client's side, once a head was sent. */
export interface AnswerClient {
  /** False: `bytes` must stay as they are, and no more come, until the sink's `drained`. */
  bodyBytes(bytes: Buffer, from: number, to: number): boolean
  flush(): boolean
}

/** As the edge's `ResponseSink`. */
export interface AnswerSink {
  text(text: string): void
  bytes(bytes: Buffer, from: number, to: number): boolean
  end(trailers: readonly string[] | null): void
  drained(): void
  cancel(): void
}

/** As the edge's `ResponseStep`. */
export interface AnswerStep {
  begin(passage: AnswerPassage, head: Http1ResponseHead): AnswerSink | null
}
