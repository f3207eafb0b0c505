// The packets that come before any message: they have a length and no type. StartupMessage (3.0, 3.2 and whatever minor
// version a client hopes for), SSLRequest, GSSENCRequest, CancelRequest with keys of 4 (3.0) to 256 bytes (3.2).

import { int32At, stringEnd } from './frame.ts'
import { type Problem, violation } from './problem.ts'
import { sqlState } from './sqlstate.ts'

/** In place of a version. */
export const requestCode = { cancel: 80_877_102, ssl: 80_877_103, gssEncryption: 80_877_104 } as const

/** MAX_STARTUP_PACKET_LENGTH. */
export const startupBytesMax = 10_000
/** The newest minor version of protocol 3 that this codec speaks; 3.1 was never made. */
export const minorVersionMax = 2
const cancelKeyBytesMax = 256
const parametersMax = 256

const tooShort = -1
const tooLong = -2

/**
 * Size of the packet at `at`; 0: its length has not arrived; below 0: `startupProblem`. Ask `isTlsHandshake` first.
 */
export function startupBytes(bytes: Buffer, at: number, to: number): number {
  if (to - at < 4) return 0
  const length = int32At(bytes, at)
  if (length < 8) return tooShort
  return length > startupBytesMax ? tooLong : length
}

export function startupProblem(answer: number): Problem {
  return answer === tooShort
    ? violation('The first packet is shorter than one can be.')
    : violation('The first packet is longer than 10,000 bytes: what connected does not speak PostgreSQL.')
}

/** A first byte that begins a TLS record of a handshake: direct TLS (17+), without SSLRequest. */
export function isTlsHandshake(byte: number): boolean {
  return byte === 0x16
}

export type Startup =
  | { readonly kind: 'ssl' | 'gss-encryption' }
  | { readonly kind: 'cancel'; readonly processId: number; readonly key: Buffer }
  | StartupMessage
  | { readonly kind: 'problem'; readonly problem: Problem }

export interface StartupMessage {
  readonly kind: 'startup'
  /** As asked for; above `minorVersionMax`, or with options, the answer begins with NegotiateProtocolVersion. */
  readonly minorVersion: number
  /** In the order of the client; a name that comes twice counts as it came last. */
  readonly parameters: ReadonlyMap<string, string>
  /** Names that begin with `_pq_.`: extensions of the protocol; we know none. */
  readonly options: readonly string[]
}

/** A whole packet: bytes[at..end), as `startupBytes` found it. The key is copied. */
export function readStartup(bytes: Buffer, at: number, end: number): Startup {
  const code = int32At(bytes, at + 4)
  const size = end - at
  if (code === requestCode.ssl || code === requestCode.gssEncryption) {
    if (size !== 8) return refused(violation('A request for encryption has 8 bytes.'))
    return { kind: code === requestCode.ssl ? 'ssl' : 'gss-encryption' }
  }
  if (code === requestCode.cancel) return readCancel(bytes, at, end)
  const major = code >>> 16
  if (major !== 3) return refused(unsupported(major, code & 0xffff))
  return readParameters(bytes, at + 8, end, code & 0xffff)
}

function refused(problem: Problem): Startup {
  return { kind: 'problem', problem }
}

function unsupported(major: number, minor: number): Problem {
  const sentence = `Protocol ${major}.${minor} is not spoken here; 3.0 to 3.${minorVersionMax} are.`
  return { code: sqlState.featureNotSupported, sentence }
}

function readCancel(bytes: Buffer, at: number, end: number): Startup {
  const keyBytes = end - at - 12
  if (keyBytes < 4 || keyBytes > cancelKeyBytesMax)
    return refused(violation('The key of a cancel request has 4 to 256 bytes.'))
  return { kind: 'cancel', processId: int32At(bytes, at + 8), key: Buffer.from(bytes.subarray(at + 12, end)) }
}

function readParameters(bytes: Buffer, at: number, end: number, minorVersion: number): Startup {
  const parameters = new Map<string, string>()
  const options: string[] = []
  for (let count = 0; count <= parametersMax; count++) {
    const nameEnd = stringEnd(bytes, at, end)
    if (nameEnd < 0) return refused(unended)
    if (nameEnd === at) return endOf(at + 1 === end, { kind: 'startup', minorVersion, parameters, options })
    const valueEnd = stringEnd(bytes, nameEnd + 1, end)
    if (valueEnd < 0) return refused(unended)
    const name = bytes.toString('utf8', at, nameEnd)
    if (name.startsWith('_pq_.')) options.push(name)
    else parameters.set(name, bytes.toString('utf8', nameEnd + 1, valueEnd))
    at = valueEnd + 1
  }
  return refused(violation('A StartupMessage has at most 256 parameters.'))
}

const unended = violation(
  'The parameters of a StartupMessage must be names and values that end with NUL, then one NUL.',
)

function endOf(complete: boolean, message: StartupMessage): Startup {
  return complete ? message : refused(violation('Bytes follow the end of a StartupMessage.'))
}
