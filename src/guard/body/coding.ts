// A body with one Content-Encoding (RFC 9110 8.4), decoded within bounds so that it can be looked at. It is forwarded as it
// came. What ends early, goes on behind its end, or grows past the bound is never taken for whole.

import { type UnpackCoding, unpackStream } from '../../io/zlib.ts'

const known: Readonly<Record<string, UnpackCoding>> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  br: 'br',
  zstd: 'zstd',
}

export type Unpacked = Buffer | 'bad' | 'too large'

/** Of all fields: '' for none, null for one that is not known or more than one over another. */
export function codingOf(values: readonly string[]): UnpackCoding | '' | null {
  const names = values
    .flatMap(value => value.toLowerCase().split(',', 8))
    .map(name => name.trim())
    .filter(name => name !== '' && name !== 'identity')
  if (names.length === 0) return ''
  const [name = ''] = names
  return names.length > 1 || !Object.hasOwn(known, name) ? null : (known[name] as UnpackCoding)
}

/** `done` is called once, later. */
export function unpackBody(
  coding: UnpackCoding,
  body: Buffer,
  bytesMax: number,
  done: (unpacked: Unpacked) => void,
): void {
  const pieces: Buffer[] = []
  let bytes = 0
  let given = false
  let over = false
  const finish = (unpacked: Unpacked): void => {
    if (over) return
    over = true
    stream.destroy()
    done(unpacked)
  }
  const stream = unpackStream(isBare(coding, body) ? 'raw-deflate' : coding, {
    bytes: piece => {
      bytes += piece.length
      if (bytes > bytesMax) finish('too large')
      else pieces.push(piece)
    },
    // An end before all was taken leaves bytes that another decoder may read.
    end: () => finish(given ? Buffer.concat(pieces) : 'bad'),
    failed: () => finish('bad'),
  })
  stream.write(body, () => {
    given = true
    if (!over) stream.end()
  })
}

/**
 * What a body begins with, at most about `bytesMax`; as much as could be read where it ends early or is broken. For who
 * looks at a part of it anyway. `done` is called once, later.
 */
export function unpackBeginning(
  coding: UnpackCoding,
  body: Buffer,
  bytesMax: number,
  done: (beginning: Buffer) => void,
): void {
  const pieces: Buffer[] = []
  let bytes = 0
  let over = false
  const finish = (): void => {
    if (over) return
    over = true
    stream.destroy()
    done(Buffer.concat(pieces))
  }
  const stream = unpackStream(isBare(coding, body) ? 'raw-deflate' : coding, {
    bytes: piece => {
      const wanted = piece.subarray(0, bytesMax - bytes)
      pieces.push(wanted)
      bytes += wanted.length
      if (bytes >= bytesMax) finish()
    },
    end: finish,
    failed: finish,
  })
  stream.write(body, () => {
    if (!over) stream.end()
  })
}

/** RFC 9110 8.4.1.2: some send deflate without its zlib header. */
function isBare(coding: UnpackCoding, body: Buffer): boolean {
  return coding === 'deflate' && ((body[0] ?? 8) & 15) !== 8
}

/** Shorter runs come by chance in what is packed; in large bodies longer ones too. */
const runMin = 8
const runMinOfLarge = 14
const largeBytes = 128 << 10
/** Those beyond it are one. */
const runsMax = 200

/**
 * Runs of printable text in packed bytes. Hardly any stand there by chance; a header's comment, a block that is passed over
 * or one that is stored can hold a whole form, for readers that do not decode.
 */
export function readableIn(packed: Buffer): string[] {
  const runs: string[] = []
  const least = packed.length > largeBytes ? runMinOfLarge : runMin
  let from = 0
  for (let at = 0; at <= packed.length; at++) {
    if (at < packed.length && isReadable(packed[at] as number)) continue
    if (at - from >= least) runs.push(packed.latin1Slice(from, at))
    from = at + 1
  }
  return runs.length <= runsMax ? runs : [...runs.slice(0, runsMax), runs.slice(runsMax).join(' ')]
}

function isReadable(byte: number): boolean {
  return (byte >= 0x20 && byte < 0x7f) || byte === 0x09 || byte === 0x0a || byte === 0x0d
}
