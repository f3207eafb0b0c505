#!/usr/bin/env node
// The program `tenfold`. Only checks the Node that runs it, then hands over: what it imports would not even parse on an
// old one.

const nodeMajorMin = 24

if (Number(process.versions.node.split('.')[0]) < nodeMajorMin) {
  console.error(
    `tenfold needs Node ${nodeMajorMin} or later; this is Node ${process.versions.node} (${process.execPath}). Install a newer one, or put it first in PATH.`,
  )
  process.exit(2)
}

cacheCompiled()
const { runProgram } = await import('./program.ts')
await runProgram(process.argv)

/**
 * Half of a small command's time is compiling. The cache is in the user's own folder: one in a folder where others may
 * write would let them choose the code we run.
 */
function cacheCompiled(): void {
  const { XDG_CACHE_HOME, HOME } = process.env
  const caches = XDG_CACHE_HOME ?? (HOME === undefined ? undefined : `${HOME}/.cache`)
  if (caches === undefined || !caches.startsWith('/')) return
  process.getBuiltinModule('node:module').enableCompileCache(`${caches}/tenfold/compiled`)
}

export {}
