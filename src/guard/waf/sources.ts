// The rule files that a policy names, read whole: folders give their .conf files in the order of their names, and rules
// find lists of phrases (.data) beside themselves. Bounded; what can't be read is a failure with the path in it.

import { dirname, join } from 'node:path'
import { fileMark, fileNamesIn, readByteText } from '../../io/byte-files.ts'
import { Failure } from '../../kit/failure.ts'
import { wafFailures } from './failures.ts'
import type { RuleSource } from './seclang/load.ts'

const fileBytesMax = 4 << 20
const filesMax = 512

export interface RuleFiles {
  readonly sources: readonly RuleSource[]
  /** Equal for files that have not changed. */
  readonly mark: string
}

/** @param paths Absolute: folders or files. */
export async function readRuleFiles(paths: readonly string[]): Promise<RuleFiles> {
  const marks: string[] = []
  const sources: RuleSource[] = []
  for (const path of paths) {
    const folder = await named(path, () => fileNamesIn(path))
    const beside = folder === null ? dirname(path) : path
    const data = await dataOf(beside, marks)
    const rules = folder === null ? [path] : folder.filter(isRules).map(name => join(path, name))
    if (sources.length + rules.length > filesMax)
      throw missing(path, `there are more than ${filesMax} rule files`)
    for (const file of rules) {
      const text = await named(file, () => readByteText(file, fileBytesMax))
      marks.push(await named(file, () => fileMark(file)))
      sources.push({ file, text, readFile: name => dataFile(data, name) })
    }
  }
  if (sources.length === 0) throw missing(paths.join(', '), 'there is no .conf file')
  return { sources, mark: marks.join('\n') }
}

function isRules(name: string): boolean {
  return name.endsWith('.conf')
}

async function dataOf(folder: string, marks: string[]): Promise<ReadonlyMap<string, string>> {
  const data = new Map<string, string>()
  for (const name of (await named(folder, () => fileNamesIn(folder))) ?? []) {
    if (!name.endsWith('.data')) continue
    const path = join(folder, name)
    data.set(name, await named(path, () => readByteText(path, fileBytesMax)))
    marks.push(await named(path, () => fileMark(path)))
  }
  return data
}

/** Only files beside the rules, never a path: rules may come from elsewhere. */
function dataFile(data: ReadonlyMap<string, string>, name: string): string {
  const text = data.get(name)
  if (text === undefined)
    throw new Failure(wafFailures.rulesMissing, `the list ${name} is not beside its rules`)
  return text
}

async function named<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof Failure) throw error
    throw missing(path, (error as Error).message)
  }
}

function missing(path: string, what: string): Failure {
  return new Failure(wafFailures.rulesMissing, `the rules ${path} can't be read: ${what}`)
}
