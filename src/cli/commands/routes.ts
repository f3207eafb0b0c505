// `tenfold routes import FILE`: an OpenAPI description as routes for the system file. Routes go to standard output, what
// was left out to standard error, so that the former can be piped.

import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { Failure } from '../../kit/failure.ts'
import type { Action, CommandInput } from '../command.ts'
import { cliFailures } from '../failures.ts'
import { type ImportedRoutes, routesOfOpenApi } from '../openapi-routes.ts'

const descriptionBytesMax = 16 << 20

export const routes: Action = async input => {
  const { terminal, options, json } = input
  const path = input.args.description as string
  const imported = routesOfOpenApi(read(path), wishesOf(input))
  const from = `tenfold routes import ${basename(path)}`
  if (typeof options.write === 'string') write(options.write, moduleText(imported, from))
  if (json) terminal.print(JSON.stringify({ routes: imported.routes, warnings: imported.warnings }))
  else {
    for (const { line, text } of imported.warnings) terminal.complain(`${path}:${line}: ${text}`)
    if (typeof options.write !== 'string') terminal.print(listText(imported, from))
    else terminal.print(`Wrote ${options.write}: ${imported.routes.length} routes`)
  }
  return 0
}

function wishesOf({ options }: CommandInput): { service: string; prefix: string } {
  const service = String(options.service ?? 'api')
  const prefix = String(options.prefix ?? '').replace(/\/+$/, '')
  if (prefix !== '' && !/^(?:\/[A-Za-z0-9._~-]+)+$/.test(prefix))
    throw new Failure(cliFailures.optionInvalid, `--prefix: '${prefix}' is no plain path such as '/api'.`)
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(service))
    throw new Failure(
      cliFailures.optionInvalid,
      `--service: '${service}' is no name of a service such as 'api'.`,
    )
  return { service, prefix }
}

function read(path: string): string {
  try {
    const { size } = statSync(path)
    if (size > descriptionBytesMax)
      throw new Error(`it has ${size} bytes; at most ${descriptionBytesMax} are read`)
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new Failure(
      cliFailures.descriptionUnreadable,
      `'${path}' cannot be read: ${(cause as Error).message}.`,
      {
        cause,
      },
    )
  }
}

const madeHere = / by `tenfold routes import /

/** Never over a file that somebody has written. */
function write(path: string, text: string): void {
  const there = statSync(path, { throwIfNoEntry: false })
  if (there?.isFile() && !madeHere.test(readFileSync(path, 'utf8').split('\n', 1)[0] as string))
    throw new Failure(
      cliFailures.fileExists,
      `--write: '${path}' is already there, and was not made by \`tenfold routes import\`.`,
    )
  try {
    writeFileSync(path, text)
  } catch (cause) {
    throw new Failure(
      cliFailures.optionInvalid,
      `--write: '${path}' cannot be written: ${(cause as Error).message}.`,
    )
  }
}

/** What goes into the file's `edge`. */
export function listText(imported: ImportedRoutes, from: string): string {
  return `// ${imported.source}, by \`${from}\`\nroutes: ${arrayText(imported)},`
}

export function moduleText(imported: ImportedRoutes, from: string): string {
  return `// ${imported.source}, by \`${from}\`; do not edit, import it anew.\n\nexport const routes = ${arrayText(imported)}\n`
}

function arrayText({ routes: all }: ImportedRoutes): string {
  const lines = all.map(route => {
    const keys = Object.entries(route).map(([key, value]) => `${key}: ${valueText(value)}`)
    return `  { ${keys.join(', ')} },`
  })
  return lines.length === 0 ? '[]' : `[\n${lines.join('\n')}\n]`
}

function valueText(value: string | readonly string[]): string {
  if (typeof value !== 'string') return `[${value.map(valueText).join(', ')}]`
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
