// For tests: the example in a folder of its own, on free ports, as `npm start` runs it. It finds packages where the project
// has them, and `tenfold` as who has installed it does.

import { cpSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { freePort, type Site } from './system-harness.ts'

const root = join(import.meta.dirname, '../..')

/**
 * Copied and ready for `up`. `env` is what the example's file finds in its environment. Gives the shop's address.
 * @param directory a folder that is there, in a folder of its own
 */
export async function copyBoxoffice(
  { directory }: Pick<Site, 'directory'>,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  cpSync(join(root, 'examples', 'boxoffice'), directory, {
    recursive: true,
    filter: path => !path.includes('.tenfold'),
  })
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'))
  const above = join(dirname(directory), 'node_modules')
  mkdirSync(above)
  symlinkSync(root, join(above, 'tenfold'))
  renameSync(join(directory, 'tenfold.config.ts'), join(directory, 'example.config.ts'))
  const port = await freePort()
  writeFileSync(
    join(directory, 'tenfold.config.mjs'),
    `Object.assign(process.env, ${JSON.stringify({ ...env, BOXOFFICE_PORT: String(port) })})
const { default: system } = await import('./example.config.ts')
export default { ...system, control: { listen: 0 } }
`,
  )
  return `http://127.0.0.1:${port}`
}
