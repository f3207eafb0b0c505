// `npm run generate`: writes every committed file that is made from something else. `--check` writes nothing and fails
// where a file differs. A generator gives path -> content; add yours to the list.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cliReference } from '../src/cli/reference.ts'
import { inputTypes } from '../src/file/input-types.ts'
import { systemJsonSchema } from '../src/file/json-schema.ts'
import { referencePage } from '../src/file/reference.ts'
import { errorsPage } from './errors-page.ts'

/** Paths from the repository's root to contents. */
export type Generated = Readonly<Record<string, string>>
type Generator = () => Generated | Promise<Generated>

function systemFile(): Generated {
  const schema = systemJsonSchema()
  return {
    'schema/tenfold.schema.json': `${JSON.stringify(schema, null, 2)}\n`,
    'docs/reference/system-file.md': referencePage(schema),
    'src/file/input.generated.ts': inputTypes(schema),
  }
}

async function errors(): Promise<Generated> {
  return { 'docs/reference/errors.md': await errorsPage() }
}

const generators: readonly Generator[] = [systemFile, errors, cliReference]

/** Everything that is generated, as it should be. */
export async function generated(): Promise<Generated> {
  const parts = await Promise.all(generators.map(generator => generator()))
  return Object.assign({}, ...parts) as Generated
}

const root = join(import.meta.dirname, '..')

function committed(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), 'utf8')
  } catch {
    return undefined
  }
}

/** The paths whose committed content is not what would be generated now. */
export async function stale(): Promise<string[]> {
  return Object.entries(await generated())
    .filter(([path, content]) => committed(path) !== content)
    .map(([path]) => path)
}

async function main(): Promise<void> {
  const paths = await stale()
  if (process.argv.includes('--check')) {
    for (const path of paths) console.error(`${path} is not what its source says: run npm run generate`)
    process.exitCode = paths.length > 0 ? 1 : 0
    return
  }
  const files = await generated()
  for (const path of paths) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), files[path] as string)
    console.log(`wrote ${path}`)
  }
  if (paths.length === 0) console.log('everything is up to date')
}

if (import.meta.main) await main()
