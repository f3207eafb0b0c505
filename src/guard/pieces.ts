// A long answer of our own that many may ask for at once: sent as the client takes it, from one buffer that all of them
// share. A whole one would wait in memory, once for each who asks and does not read; with HTTP/2 those are many.

import type { Passage } from './passage.ts'

/** What at most waits in memory for one client, beside its connection's own. */
const pieceBytes = 16_384

/** With status 200. @param fields ready field lines without Content-Length. @param bytes never changed afterwards. */
export function respondWithBytes(passage: Passage, fields: string, bytes: Buffer): void {
  const { serial } = passage
  let at = 0
  let over = false
  const feed = (): void => {
    while (!over && at < bytes.length) {
      const from = at
      at = Math.min(bytes.length, from + pieceBytes)
      if (!passage.localBytes(bytes, from, at)) return
    }
    if (over) return
    over = true
    passage.localEnd()
  }
  passage.respondInPieces(fields, {
    drained: feed,
    cancel: () => {
      over = true
    },
  })
  // HEAD has been answered.
  if (passage.serial === serial) feed()
}
