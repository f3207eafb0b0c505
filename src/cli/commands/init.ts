// `tenfold init`: writes the system file that fits a folder. Never overwrites.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { systemTemplate } from '../../file/templates.ts'
import { Failure } from '../../kit/failure.ts'
import type { Action } from '../command.ts'
import { cliFailures } from '../failures.ts'

export const init: Action = async ({ terminal, args, json }) => {
  const folder = resolve(args.folder ?? '.')
  const files = filesOf(folder)
  const template = systemTemplate({ folder: basename(folder), files, packageJson: packageOf(folder) })
  const file = join(folder, template.fileName)
  write(file, template.content)
  if (json) terminal.print(JSON.stringify({ file, found: template.found }))
  else terminal.print(`Wrote ${file}\n${template.found}\nNext: tenfold check, then tenfold up`)
  return 0
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (cause) {
    throw new Failure(
      cliFailures.folderMissing,
      `The folder ${folder} cannot be read: ${(cause as Error).message}.`,
      {
        cause,
      },
    )
  }
}

function packageOf(folder: string): unknown {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  } catch {
    return undefined
  }
}

function write(file: string, content: string): void {
  try {
    writeFileSync(file, content, { flag: 'wx' })
  } catch (cause) {
    const exists = (cause as NodeJS.ErrnoException).code === 'EEXIST'
    const sentence = exists
      ? `${file} is already there.`
      : `${file} cannot be written: ${(cause as Error).message}.`
    throw new Failure(exists ? cliFailures.fileExists : cliFailures.folderMissing, sentence, { cause })
  }
}
