// What reading a request's body strictly gives: its contents for whoever judges them, or the one thing for which two
// readers could take it differently. Texts are byte strings: one character, U+0000 to U+00FF, a byte (`latin1Slice`).
// Nothing here repairs, guesses or drops: what is not clear is a problem.

/** Names may come several times, in the order in which they were sent. */
export type BodyField = readonly [name: string, value: string]

export interface BodyFile {
  /** Name of the form's field. */
  readonly field: string
  /** As the client says; '' where it says none. */
  readonly name: string
  /** Media type as declared, lower case, without parameters; '' where none is. */
  readonly type: string
  /** Where its bytes are in the body. */
  readonly from: number
  readonly to: number
}

export interface BodyContents {
  /** Fields of forms decoded; values of JSON under `json.a.b`, `json.list.0`. */
  readonly args: readonly BodyField[]
  readonly files: readonly BodyFile[]
  /** Header lines of multipart parts: the field's name, and the line. */
  readonly partHeaders: readonly BodyField[]
  readonly xmlTexts: readonly string[]
  readonly xmlAttributes: readonly string[]
}

export interface BodyProblem {
  /** Stable: `json-duplicate-key`. */
  readonly problem: string
  /** A sentence; never holds a piece of the body. */
  readonly text: string
  /** Offset in the body. */
  readonly at: number
}

export interface BodyLimits {
  /** Of objects and lists in JSON, of elements in XML. */
  readonly depthMax: number
  /** Arguments, keys, elements and attributes, texts. */
  readonly argsMax: number
  /** Of one argument's whole name. */
  readonly nameBytesMax: number
  readonly partsMax: number
  /** Of one part. */
  readonly partHeaderBytesMax: number
}

export const bodyLimits: BodyLimits = {
  depthMax: 32,
  argsMax: 4_096,
  nameBytesMax: 1_024,
  partsMax: 256,
  partHeaderBytesMax: 4_096,
}

/** How a reader gives up; never leaves this folder. */
export class BodyFault {
  readonly problem: string
  readonly text: string
  readonly at: number
  constructor(problem: string, text: string, at: number) {
    this.problem = problem
    this.text = text
    this.at = at
  }
}

export const nothingRead: BodyContents = {
  args: [],
  files: [],
  partHeaders: [],
  xmlTexts: [],
  xmlAttributes: [],
}
