// Zstandard over asynchronous iterables, off this thread. What is packed here carries a checksum of its content, so that
// damage is found when it is unpacked. Decides nothing.

import { pipeline, Readable, type Transform } from 'node:stream'
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib'

async function* through(source: AsyncIterable<Uint8Array>, transform: Transform): AsyncGenerator<Buffer> {
  // The failure of either side ends the transform, and the loop below throws it.
  const fed = new Promise<void>(resolve => {
    pipeline(Readable.from(source, { objectMode: false }), transform, () => resolve())
  })
  try {
    for await (const piece of transform) yield piece as Buffer
  } finally {
    transform.destroy()
    await fed
  }
}

export function packed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const params = { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 }
  return through(source, createZstdCompress({ params }))
}

/** Throws when the bytes are damaged or end too early. */
export function unpacked(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  return through(source, createZstdDecompress())
}
