// Messages of clients, read in place. Each reader takes the payload bytes[from..to) of one whole frame and fills a view
// that its caller keeps: offsets into the same bytes, valid as long as those are. Null: it is well formed as far as a
// router must know; else what is wrong. Values of parameters are not looked at: the server does that.

import { int32At, stringEnd, uint16At } from './frame.ts'
import { type Problem, violation } from './problem.ts'
import { portalTarget, statementTarget } from './types.ts'

const unended = violation('A string in a message has no NUL at its end.')
const cut = violation('A message ends before what its counts announce.')
const beyond = violation('A message goes on after its content.')
const badTarget = violation('Describe and Close name a statement (S) or a portal (P).')
const badFormats = violation('Format codes are none, one, or one a value.')

/** Of Query: the text is bytes[from..sqlTo). Whatever the server would ignore behind its NUL is refused. */
export function readQuery(bytes: Buffer, from: number, to: number): Problem | null {
  const end = stringEnd(bytes, from, to)
  if (end < 0) return unended
  return end === to - 1 ? null : beyond
}

export class ParseView {
  nameFrom = 0
  nameTo = 0
  sqlFrom = 0
  sqlTo = 0
  /** Object ids of parameter types, 4 bytes each. */
  typesFrom = 0
  typeCount = 0
}

export function readParse(bytes: Buffer, from: number, to: number, view: ParseView): Problem | null {
  const nameTo = stringEnd(bytes, from, to)
  if (nameTo < 0) return unended
  const sqlTo = stringEnd(bytes, nameTo + 1, to)
  if (sqlTo < 0) return unended
  if (sqlTo + 3 > to) return cut
  view.nameFrom = from
  view.nameTo = nameTo
  view.sqlFrom = nameTo + 1
  view.sqlTo = sqlTo
  view.typesFrom = sqlTo + 3
  view.typeCount = uint16At(bytes, sqlTo + 1)
  const end = view.typesFrom + 4 * view.typeCount
  return end === to ? null : end > to ? cut : beyond
}

export class BindView {
  portalFrom = 0
  portalTo = 0
  statementFrom = 0
  statementTo = 0
  /** Where the formats of parameters begin: what `readParameters` goes on from. */
  restFrom = 0
}

/** Only the names: what is behind them goes to the server as it is, which judges it. */
export function readBind(bytes: Buffer, from: number, to: number, view: BindView): Problem | null {
  const portalTo = stringEnd(bytes, from, to)
  if (portalTo < 0) return unended
  const statementTo = stringEnd(bytes, portalTo + 1, to)
  if (statementTo < 0) return unended
  view.portalFrom = from
  view.portalTo = portalTo
  view.statementFrom = portalTo + 1
  view.statementTo = statementTo
  view.restFrom = statementTo + 1
  return null
}

export interface BoundValue {
  /** 0 text, 1 binary. */
  readonly format: number
  /** A view into the message; null: SQL's NULL. */
  readonly bytes: Buffer | null
}

export type BoundValues =
  | { readonly kind: 'values'; readonly values: readonly BoundValue[] }
  | { readonly kind: 'problem'; readonly problem: Problem }

/** The values of a Bind, from `restFrom` of its view on. Makes objects: for the few statements whose values count. */
export function readParameters(bytes: Buffer, from: number, to: number): BoundValues {
  if (from + 2 > to) return broken(cut)
  const formatCount = uint16At(bytes, from)
  const formats = from + 2
  let at = formats + 2 * formatCount
  if (at + 2 > to) return broken(cut)
  const count = uint16At(bytes, at)
  if (formatCount > 1 && formatCount !== count) return broken(badFormats)
  at += 2
  const values: BoundValue[] = []
  for (let index = 0; index < count; index++) {
    if (at + 4 > to) return broken(cut)
    const size = int32At(bytes, at)
    at += 4
    if (size < -1 || at + Math.max(size, 0) > to) return broken(cut)
    const format = formatAt(bytes, formats, formatCount, index)
    values.push({ format, bytes: size < 0 ? null : bytes.subarray(at, at + size) })
    at += Math.max(size, 0)
  }
  return { kind: 'values', values }
}

function broken(problem: Problem): BoundValues {
  return { kind: 'problem', problem }
}

function formatAt(bytes: Buffer, from: number, count: number, index: number): number {
  if (count === 0) return 0
  return uint16At(bytes, from + 2 * (count === 1 ? 0 : index))
}

/** Of Describe and Close. */
export class TargetView {
  /** `statementTarget` or `portalTarget`. */
  target = 0
  nameFrom = 0
  nameTo = 0
}

export function readTarget(bytes: Buffer, from: number, to: number, view: TargetView): Problem | null {
  const target = from < to ? bytes[from] : -1
  if (target !== statementTarget && target !== portalTarget) return badTarget
  const end = stringEnd(bytes, from + 1, to)
  if (end < 0) return unended
  view.target = target as number
  view.nameFrom = from + 1
  view.nameTo = end
  return end === to - 1 ? null : beyond
}

export class ExecuteView {
  portalFrom = 0
  portalTo = 0
  /** 0: all of them. */
  rowsMax = 0
}

export function readExecute(bytes: Buffer, from: number, to: number, view: ExecuteView): Problem | null {
  const end = stringEnd(bytes, from, to)
  if (end < 0) return unended
  if (end + 5 > to) return cut
  view.portalFrom = from
  view.portalTo = end
  view.rowsMax = Math.max(0, int32At(bytes, end + 1))
  return end + 5 === to ? null : beyond
}

/** Sync, Flush, Terminate and CopyDone have no content. */
export function readEmpty(from: number, to: number): Problem | null {
  return from === to ? null : beyond
}

/** CopyFail: its reason is bytes[from..to - 1). PasswordMessage with a plain password: likewise. */
export function readText(bytes: Buffer, from: number, to: number): Problem | null {
  return readQuery(bytes, from, to)
}

export interface FunctionCall {
  readonly functionId: number
}

/** The deprecated call of a function by its object id: a router only needs to know which (or that it can't be read). */
export function readFunctionCall(bytes: Buffer, from: number, to: number): FunctionCall | Problem {
  return to - from < 8 ? cut : { functionId: int32At(bytes, from) >>> 0 }
}

export interface SaslInitialResponse {
  readonly mechanism: string
  /** Null: the client waits for a challenge first. */
  readonly response: Buffer | null
}

/** The first PasswordMessage of a SASL exchange; later ones are the response itself. Null: malformed. */
export function readSaslInitialResponse(payload: Buffer): SaslInitialResponse | null {
  const end = stringEnd(payload, 0, payload.length)
  if (end < 0 || end + 5 > payload.length) return null
  const size = int32At(payload, end + 1)
  const from = end + 5
  if (size < -1 || from + Math.max(size, 0) !== payload.length) return null
  return { mechanism: payload.latin1Slice(0, end), response: size < 0 ? null : payload.subarray(from) }
}
