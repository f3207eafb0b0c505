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

const { runProgram } = await import('./program.ts')
await runProgram(process.argv)

export {}
