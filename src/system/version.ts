// Tenfold's own version and where its program is. Read once, from the package's own files: the same from the sources
// and from what is published.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

export const tenfoldVersion: string = manifest.version

/** The command line's main file, by which the roles of a system are started. */
export const mainFile: string = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../cli/main.ts' : '../cli/main.js', import.meta.url),
)
