// Messages of servers that a router must understand; the others it passes on unread. Readers take the payload
// bytes[from..to) of one whole frame. A server is trusted more than a client, but a broken one must not break us: what
// is malformed gives null, and the connection to that server ends.

import { int32At, stringEnd, uint16At } from './frame.ts'

/** Request codes of Authentication messages. */
export const authentication = {
  ok: 0,
  kerberos: 2,
  cleartext: 3,
  md5: 5,
  gss: 7,
  gssContinue: 8,
  sspi: 9,
  sasl: 10,
  saslContinue: 11,
  saslFinal: 12,
} as const

/** -1: malformed. */
export function readAuthentication(bytes: Buffer, from: number, to: number): number {
  return to - from < 4 ? -1 : int32At(bytes, from)
}

/** Of AuthenticationSASL: the mechanisms that the server offers, from `from` behind its code; at most 16. */
export function readMechanisms(bytes: Buffer, from: number, to: number): readonly string[] | null {
  const names: string[] = []
  while (names.length <= 16) {
    const end = stringEnd(bytes, from, to)
    if (end < 0) return null
    if (end === from) return names
    names.push(bytes.latin1Slice(from, end))
    from = end + 1
  }
  return null
}

export interface NameAndValue {
  readonly name: string
  readonly value: string
}

export function readParameterStatus(bytes: Buffer, from: number, to: number): NameAndValue | null {
  const nameTo = stringEnd(bytes, from, to)
  if (nameTo < 0) return null
  const valueTo = stringEnd(bytes, nameTo + 1, to)
  if (valueTo < 0) return null
  return { name: bytes.toString('utf8', from, nameTo), value: bytes.toString('utf8', nameTo + 1, valueTo) }
}

export interface KeyData {
  readonly processId: number
  /** A copy. 4 bytes in protocol 3.0, up to 256 in 3.2. */
  readonly key: Buffer
}

export function readBackendKeyData(bytes: Buffer, from: number, to: number): KeyData | null {
  const keyBytes = to - from - 4
  if (keyBytes < 4 || keyBytes > 256) return null
  return { processId: int32At(bytes, from), key: Buffer.from(bytes.subarray(from + 4, to)) }
}

/** The status byte; -1: malformed. */
export function readReadyForQuery(bytes: Buffer, from: number, to: number): number {
  const status = to - from === 1 ? (bytes[from] as number) : -1
  return status === 0x49 || status === 0x54 || status === 0x45 ? status : -1
}

/** `INSERT 0 1`; null: malformed. */
export function readCommandTag(bytes: Buffer, from: number, to: number): string | null {
  const end = stringEnd(bytes, from, to)
  return end < 0 ? null : bytes.latin1Slice(from, end)
}

export interface ReportFields {
  /** As it is not translated (V), or S of servers before 9.6. */
  readonly severity: string
  readonly code: string
  readonly message: string
  readonly detail: string
  readonly hint: string
}

/** Of ErrorResponse and NoticeResponse; fields that are not there are ''. */
export function readReport(bytes: Buffer, from: number, to: number): ReportFields | null {
  const fields = new Map<number, string>()
  while (from < to && bytes[from] !== 0) {
    const end = stringEnd(bytes, from + 1, to)
    if (end < 0) return null
    fields.set(bytes[from] as number, bytes.toString('utf8', from + 1, end))
    from = end + 1
  }
  if (from >= to) return null
  const field = (letter: string): string => fields.get(letter.charCodeAt(0)) ?? ''
  const severity = field('V') || field('S')
  return { severity, code: field('C'), message: field('M'), detail: field('D'), hint: field('H') }
}

/** Only the SQLSTATE of an ErrorResponse, without reading the rest; '' where there is none. */
export function readErrorCode(bytes: Buffer, from: number, to: number): string {
  while (from < to && bytes[from] !== 0) {
    const end = stringEnd(bytes, from + 1, to)
    if (end < 0) return ''
    if (bytes[from] === 0x43) return bytes.latin1Slice(from + 1, end)
    from = end + 1
  }
  return ''
}

export interface Column {
  readonly name: string
  readonly tableId: number
  readonly typeId: number
  /** 0 text, 1 binary. */
  readonly format: number
}

const columnBytes = 18

export function readRowDescription(bytes: Buffer, from: number, to: number): readonly Column[] | null {
  if (to - from < 2) return null
  const count = uint16At(bytes, from)
  const columns: Column[] = []
  let at = from + 2
  for (let index = 0; index < count; index++) {
    const end = stringEnd(bytes, at, to)
    if (end < 0 || end + 1 + columnBytes > to) return null
    const fixed = end + 1
    columns.push({
      name: bytes.toString('utf8', at, end),
      tableId: int32At(bytes, fixed) >>> 0,
      typeId: int32At(bytes, fixed + 6) >>> 0,
      format: uint16At(bytes, fixed + 16),
    })
    at = fixed + columnBytes
  }
  return at === to ? columns : null
}

/** Values as views into the message; null is SQL's NULL. A null answer: malformed. */
export function readDataRow(bytes: Buffer, from: number, to: number): readonly (Buffer | null)[] | null {
  if (to - from < 2) return null
  const count = uint16At(bytes, from)
  const values: (Buffer | null)[] = []
  let at = from + 2
  for (let index = 0; index < count; index++) {
    if (at + 4 > to) return null
    const size = int32At(bytes, at)
    at += 4
    if (size < -1 || at + Math.max(size, 0) > to) return null
    values.push(size < 0 ? null : bytes.subarray(at, at + size))
    at += Math.max(size, 0)
  }
  return at === to ? values : null
}

/** Types of parameters; null: malformed. */
export function readParameterDescription(bytes: Buffer, from: number, to: number): readonly number[] | null {
  const count = to - from < 2 ? -1 : uint16At(bytes, from)
  if (count < 0 || from + 2 + 4 * count !== to) return null
  return Array.from({ length: count }, (_, index) => int32At(bytes, from + 2 + 4 * index) >>> 0)
}

export interface Notification {
  readonly processId: number
  readonly channel: string
  readonly payload: string
}

export function readNotification(bytes: Buffer, from: number, to: number): Notification | null {
  if (to - from < 4) return null
  const both = readParameterStatus(bytes, from + 4, to)
  return both && { processId: int32At(bytes, from), channel: both.name, payload: both.value }
}

export interface CopyShape {
  readonly binary: boolean
  readonly columns: number
}

/** Of CopyInResponse, CopyOutResponse and CopyBothResponse. */
export function readCopyResponse(bytes: Buffer, from: number, to: number): CopyShape | null {
  if (to - from < 3) return null
  const columns = uint16At(bytes, from + 1)
  return from + 3 + 2 * columns === to ? { binary: bytes[from] === 1, columns } : null
}

export interface Negotiation {
  readonly minorVersion: number
  readonly options: readonly string[]
}

export function readNegotiation(bytes: Buffer, from: number, to: number): Negotiation | null {
  if (to - from < 8) return null
  const count = int32At(bytes, from + 4)
  const options: string[] = []
  let at = from + 8
  while (options.length < count) {
    const end = stringEnd(bytes, at, to)
    if (end < 0) return null
    options.push(bytes.toString('utf8', at, end))
    at = end + 1
  }
  return at === to && count >= 0 ? { minorVersion: int32At(bytes, from) & 0xffff, options } : null
}
