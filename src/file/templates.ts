// What `tenfold init` writes, as data in, text out. It looks at no folder: the command line hands over what it found.

/** What is known of the folder in which a system file is to be written. */
export interface FoundProject {
  /** Name of the folder. */
  readonly folder: string
  /** Names of the files in it. */
  readonly files: readonly string[]
  /** package.json, parsed; absent or not an object: none. */
  readonly packageJson?: unknown
}

export interface SystemTemplate {
  readonly fileName: 'tenfold.config.ts'
  readonly content: string
  /** A sentence for the reader: what was found, or what to fill in. */
  readonly found: string
}

/** Files that usually start a server, likeliest first. */
const serverFiles = ['server', 'app', 'main', 'index'].flatMap(name =>
  ['mjs', 'js', 'cjs', 'ts', 'mts'].map(ending => `${name}.${ending}`),
)

export function systemTemplate(project: FoundProject): SystemTemplate {
  const name = systemName(packageName(project.packageJson) ?? project.folder)
  const { command, found } = startCommand(project)
  return { fileName: 'tenfold.config.ts', content: content(name, command), found }
}

/** The nearest name that a system may have. */
export function systemName(text: string): string {
  const short = text
    .toLowerCase()
    .replace(/^@[^/]*\//, '')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, 40)
    .replace(/-+$/, '')
  return short === '' ? 'app' : short
}

function startCommand({ files, packageJson }: FoundProject): { command: string; found: string } {
  const start = script(packageJson, 'start')
  // The program itself rather than npm around it: one process less an instance, and its own exit code.
  if (start && /^node\s+[\w./-]+$/.test(start))
    return { command: start, found: `Runs what package.json starts: ${start}.` }
  if (start) return { command: 'npm start', found: "Runs package.json's start script." }
  const file = serverFiles.find(one => files.includes(one))
  if (file) return { command: `node ${file}`, found: `Runs ${file}.` }
  return {
    command: 'node server.mjs',
    found: 'Found nothing to run: put your command where it says node server.mjs.',
  }
}

function content(name: string, command: string): string {
  return `import { defineSystem } from 'tenfold'

export default defineSystem({
  name: '${name}',
  edge: {
    listen: { http: 8080 },
    routes: [{ path: '/*', to: 'web' }],
  },
  services: {
    web: {
      // Each instance is told its port in PORT, and must listen there.
      command: '${command.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}',
      instances: { min: 2, max: 8 },
      // health: { path: '/healthz' },
    },
  },
})
`
}

function packageName(packageJson: unknown): string | undefined {
  const name = (packageJson as { name?: unknown } | null | undefined)?.name
  return typeof name === 'string' && name !== '' ? name : undefined
}

function script(packageJson: unknown, name: string): string | undefined {
  const scripts = (packageJson as { scripts?: Record<string, unknown> } | null | undefined)?.scripts
  const line = typeof scripts === 'object' && scripts !== null ? scripts[name] : undefined
  return typeof line === 'string' && line.trim() !== '' ? line.trim() : undefined
}
