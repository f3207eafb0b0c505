// Loaded before the services (`node --import`), for this folder alone: in a clone of the project the package `tenfold` is
// its sources, which Node runs as they are, and no build. Where the package is installed there are none, and this does nothing.

import { existsSync, readFileSync } from 'node:fs'
import { createRequire, registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'

const manifest = pathToFileURL(createRequire(import.meta.url).resolve('tenfold/package.json'))
const { exports } = JSON.parse(readFileSync(manifest, 'utf8'))

function sourceOf(specifier) {
  const built = exports[specifier.replace(/^tenfold/, '.')]?.default
  const source = built && new URL(built.replace('./dist/', './src/').replace(/\.js$/, '.ts'), manifest)
  return source && existsSync(source) ? source.href : undefined
}

registerHooks({
  resolve(specifier, context, next) {
    const url = specifier.startsWith('tenfold/') ? sourceOf(specifier) : undefined
    return url ? { url, shortCircuit: true } : next(specifier, context)
  },
})
