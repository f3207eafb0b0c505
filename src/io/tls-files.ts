// The small files that TLS is made of (certificates, keys, authorities): read whole, and told apart from what they were.
// Never says what is in them; whoever reads a key keeps it in memory only.

import { open, stat } from 'node:fs/promises'

/** Far above any chain; whatever is larger is some other file. */
export const tlsFileBytesMax: number = 1 << 20

export interface TlsFile {
  readonly text: string
  readonly stamp: string
}

/** Another stamp is another content, as far as the system tells; '' where there is no file to look at. */
export async function tlsFileStamp(path: string): Promise<string> {
  try {
    const { mtimeNs, size, ino } = await stat(path, { bigint: true })
    return `${mtimeNs} ${size} ${ino}`
  } catch {
    return ''
  }
}

/** Rejects with the system's code, or EFBIG. */
export async function readTlsFile(path: string): Promise<TlsFile> {
  const stamp = await tlsFileStamp(path)
  const file = await open(path)
  try {
    const bytes = Buffer.alloc(tlsFileBytesMax + 1)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    if (bytesRead > tlsFileBytesMax)
      throw Object.assign(new Error(`it has more than ${tlsFileBytesMax} bytes`), { code: 'EFBIG' })
    return { text: bytes.toString('latin1', 0, bytesRead), stamp }
  } finally {
    await file.close()
  }
}
