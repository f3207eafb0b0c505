// Compression and decompression off this thread: streams with back-pressure, and whole buffers at once. Memory of each
// is bounded by the window that is set here. Decides nothing: which coding and level are the caller's words.

import type { Transform } from 'node:stream'
import zlib, { constants } from 'node:zlib'

export type PackCoding = 'zstd' | 'br' | 'gzip'
export type PackLevel = 'fast' | 'balanced' | 'small'
export type UnpackCoding = PackCoding | 'deflate' | 'raw-deflate'

/** Does this runtime have Zstandard? */
export const zstdSupported: boolean = typeof zlib.createZstdCompress === 'function'

const gzipLevel: Record<PackLevel, number> = { fast: 1, balanced: 5, small: 9 }
const brotliQuality: Record<PackLevel, number> = { fast: 1, balanced: 4, small: 7 }
const zstdLevel: Record<PackLevel, number> = { fast: 1, balanced: 3, small: 12 }
/** Powers of two: 256 KB of brotli's window, 512 KB of Zstandard's; `small` may have 1 and 2 MB. */
const brotliWindow: Record<PackLevel, number> = { fast: 18, balanced: 18, small: 20 }
const zstdWindow: Record<PackLevel, number> = { fast: 19, balanced: 19, small: 21 }
/** What a decoder of Zstandard may be told to hold: RFC 8878 says 8 MB. */
const unpackWindowMax = 23

const brotliParams = (level: PackLevel, sizeHint: number): Record<number, number> => ({
  [constants.BROTLI_PARAM_QUALITY]: brotliQuality[level],
  [constants.BROTLI_PARAM_LGWIN]: brotliWindow[level],
  [constants.BROTLI_PARAM_SIZE_HINT]: sizeHint,
})
const zstdParams = (level: PackLevel): Record<number, number> => ({
  [constants.ZSTD_c_compressionLevel]: zstdLevel[level],
  [constants.ZSTD_c_windowLog]: zstdWindow[level],
})

/** All of `bytes`, which must not change meanwhile; null when it can't be done. */
export function packWhole(
  coding: PackCoding,
  level: PackLevel,
  bytes: Buffer,
  done: (packed: Buffer | null) => void,
): void {
  const told = (error: Error | null, packed: Buffer): void => done(error === null ? packed : null)
  if (coding === 'gzip') zlib.gzip(bytes, { level: gzipLevel[level] }, told)
  else if (coding === 'br') zlib.brotliCompress(bytes, { params: brotliParams(level, bytes.length) }, told)
  else zlib.zstdCompress(bytes, { params: zstdParams(level) }, told)
}

/** All of what `packWhole` gave; null when it is damaged, or larger than `bytesMax`. */
export function unpackWhole(
  coding: PackCoding,
  bytes: Buffer,
  bytesMax: number,
  done: (plain: Buffer | null) => void,
): void {
  const told = (error: Error | null, plain: Buffer): void => done(error === null ? plain : null)
  const bound = { maxOutputLength: bytesMax }
  if (coding === 'gzip') zlib.gunzip(bytes, bound, told)
  else if (coding === 'br') zlib.brotliDecompress(bytes, bound, told)
  else zlib.zstdDecompress(bytes, bound, told)
}

/** Where the bytes of a `ByteStream` go. Nothing is called after `destroy`, nor from inside a call of the stream. */
export interface ByteSink {
  bytes(bytes: Buffer): void
  end(): void
  failed(code: string): void
}

export interface ByteStream {
  /** `taken` is called when the bytes have been worked through: until then they must not change. */
  write(bytes: Buffer, taken: () => void): void
  /** What was written so far comes out, though more may follow. */
  flush(): void
  end(): void
  /** No more `bytes` until `resume`. */
  pause(): void
  resume(): void
  destroy(): void
}

class ZlibStream implements ByteStream {
  readonly #transform: Transform & { flush?(done?: () => void): void; readonly bytesWritten?: number }
  #givenBytes = 0
  #over = false

  constructor(transform: Transform, sink: ByteSink) {
    this.#transform = transform
    transform.on('data', (bytes: Buffer) => {
      if (!this.#over) sink.bytes(bytes)
    })
    transform.on('end', () => {
      if (this.#over) return
      this.#over = true
      // gunzip takes a zero after a member for the end, and says nothing of what follows; others would read on.
      if (this.#transform.bytesWritten === this.#givenBytes) sink.end()
      else sink.failed('ERR_TRAILING_JUNK_AFTER_STREAM_END')
    })
    transform.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#over) return
      this.#over = true
      sink.failed(error.code ?? 'ERR_ZLIB')
    })
  }

  write(bytes: Buffer, taken: () => void): void {
    this.#givenBytes += bytes.length
    this.#transform.write(bytes, error => {
      if (!error && !this.#over) taken()
    })
  }
  flush(): void {
    this.#transform.flush?.()
  }
  end(): void {
    this.#transform.end()
  }
  pause(): void {
    this.#transform.pause()
  }
  resume(): void {
    this.#transform.resume()
  }
  destroy(): void {
    this.#over = true
    this.#transform.destroy()
  }
}

export function packStream(coding: PackCoding, level: PackLevel, sink: ByteSink): ByteStream {
  if (coding === 'gzip') {
    const flush = constants.Z_SYNC_FLUSH
    const gzip = zlib.createGzip({ level: gzipLevel[level] })
    // `flush()` without a kind would be a full one, which forgets the window.
    return new ZlibStream(withFlush(gzip, flush), sink)
  }
  if (coding === 'br') {
    const brotli = zlib.createBrotliCompress({ params: brotliParams(level, 0) })
    return new ZlibStream(withFlush(brotli, constants.BROTLI_OPERATION_FLUSH), sink)
  }
  const zstd = zlib.createZstdCompress({ params: zstdParams(level) })
  return new ZlibStream(withFlush(zstd, constants.ZSTD_e_flush), sink)
}

type Flushing = Transform & { flush(kind: number, done?: () => void): void }

function withFlush(transform: Flushing, kind: number): Transform {
  const flush = transform.flush.bind(transform)
  return Object.assign(transform, { flush: (done?: () => void) => flush(kind, done) })
}

/** Refuses bytes after the end of what is packed; gzip may have several members (RFC 1952 2.2), one right after the other. */
export function unpackStream(coding: UnpackCoding, sink: ByteSink): ByteStream {
  const strictly = { rejectGarbageAfterEnd: true }
  if (coding === 'gzip') return new ZlibStream(zlib.createGunzip(), sink)
  if (coding === 'deflate') return new ZlibStream(zlib.createInflate(strictly), sink)
  if (coding === 'raw-deflate') return new ZlibStream(zlib.createInflateRaw(strictly), sink)
  if (coding === 'br') return new ZlibStream(zlib.createBrotliDecompress(strictly), sink)
  const params = { [constants.ZSTD_d_windowLogMax]: unpackWindowMax }
  return new ZlibStream(zlib.createZstdDecompress({ params, ...strictly }), sink)
}
