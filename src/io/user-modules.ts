// How modules of a user's are imported by a process or thread of ours: `tenfold` is always the Tenfold that runs, and a
// file that has `import` or `export` statements is a module, whatever its package.json says. Installs hooks for the whole
// process or thread, once.

import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'

export interface UserModules {
  /** URL of what `import ... from 'tenfold'` gives. */
  readonly own: string
  /** Hears of each file of the user's that is imported: not of packages, not of Tenfold's own. */
  readonly noted?: (path: string) => void
}

export function takeUserModules({ own, noted }: UserModules): void {
  const ownFolder = new URL('./', own).href
  registerHooks({
    resolve: (specifier, context, next) => {
      if (specifier === 'tenfold') return { url: own, shortCircuit: true }
      const resolved = next(specifier, context)
      const { url } = resolved
      const local = url.startsWith('file:') && !url.includes('/node_modules/') && !url.startsWith(ownFolder)
      if (!local) return resolved
      noted?.(fileURLToPath(url))
      return { ...resolved, format: formatOf(url, resolved.format) }
    },
  })
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
