// Where an installed npm package is, asked of Node itself: found also when it lies in another folder than ours.

import { createRequire } from 'node:module'
import { join } from 'node:path'
import { isThere } from './owned-files.ts'

/** The package's folder as `from` (an `import.meta.url`) would find it; null: not installed. */
export function packageFolder(name: string, from: string): string | null {
  const folders = createRequire(from).resolve.paths(name) ?? []
  for (const folder of folders) {
    const found = join(folder, name)
    if (isThere(join(found, 'package.json'))) return found
  }
  return null
}

/** As `packageFolder`, seen from another package that depends on it (it may be installed below that one). */
export function packageFolderThrough(through: string, name: string, from: string): string | null {
  const outer = packageFolder(through, from)
  const below = outer === null ? null : packageFolder(name, join(outer, 'package.json'))
  return below ?? packageFolder(name, from)
}
