// How modules of a user's are imported by a process or thread of ours: `tenfold` is always the Tenfold that runs, and a
// file that has `import` or `export` statements is a module, whatever its package.json says. Installs hooks for the whole
// process or thread, once.

import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'

/** One file of the user's as it was loaded. */
export interface LoadedSource {
  readonly url: string
  readonly format: string
  readonly source: string
}

export interface UserModules {
  /** URL of what `import ... from 'tenfold'` gives. */
  readonly own: string
  /** Hears of each file of the user's that is imported: not of packages, not of Tenfold's own. */
  readonly noted?: (path: string) => void
  /** Hears of the text of each of those files. */
  readonly loaded?: (source: LoadedSource) => void
  /** Texts to be used instead of what the files hold now. */
  readonly sources?: readonly LoadedSource[]
}

export function takeUserModules({ own, noted, loaded, sources = [] }: UserModules): void {
  const ownFolder = new URL('./', own).href
  const isUsers = (url: string): boolean =>
    url.startsWith('file:') && !url.includes('/node_modules/') && !url.startsWith(ownFolder)
  const known = new Map(sources.map(one => [one.url, one]))
  registerHooks({
    resolve: (specifier, context, next) => {
      if (specifier === 'tenfold') return { url: own, shortCircuit: true }
      const resolved = next(specifier, context)
      const { url } = resolved
      if (!isUsers(url)) return resolved
      noted?.(fileURLToPath(url))
      return { ...resolved, format: formatOf(url, resolved.format) }
    },
    load: (url, context, next) => {
      if (loaded === undefined && known.size === 0) return next(url, context)
      const kept = known.get(url)
      if (kept !== undefined) return { format: kept.format, source: kept.source, shortCircuit: true }
      const found = next(url, context)
      if (isUsers(url) && found.source != null && typeof found.format === 'string')
        loaded?.({ url, format: found.format, source: textOf(found.source) })
      return found
    },
  })
}

function textOf(source: string | ArrayBuffer | NodeJS.TypedArray): string {
  if (typeof source === 'string') return source
  const bytes =
    source instanceof ArrayBuffer
      ? Buffer.from(source)
      : Buffer.from(source.buffer, source.byteOffset, source.byteLength)
  return bytes.toString()
}

/** `npm init` writes `"type": "commonjs"`, with which Node would not take `import` in a `.ts` or `.js` file. */
function formatOf(url: string, format: string | null | undefined): string | null | undefined {
  if (!format?.startsWith('commonjs') || /\.c[jt]s$/.test(url)) return format
  try {
    const text = readFileSync(fileURLToPath(url), 'utf8')
    return /^(import|export)\b(?!\s*\()/m.test(text) ? format.replace('commonjs', 'module') : format
  } catch {
    return format
  }
}
