// A file of header lines (`authorization: Bearer ...`), one a line: secrets for a peer that stay out of everything else.

import { readFileSync } from 'node:fs'

const bytesMax = 16_384

/** Throws what the system says, or a sentence that names the line; never quotes a value. */
export function readHeaderFile(path: string): Record<string, string> {
  const text = readFileSync(path, 'utf8')
  if (text.length > bytesMax) throw new Error(`${path} has more than ${bytesMax} bytes`)
  const fields: Record<string, string> = {}
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e]*)$/.exec(line)
    if (match === null)
      throw new Error(
        `line ${index + 1} of ${path} is not a header; write one as: authorization: Bearer TOKEN`,
      )
    fields[match[1] as string] = (match[2] as string).trim()
  }
  return fields
}
