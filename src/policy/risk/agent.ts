// What a User-Agent claims: which family of software, which version. A claim is never believed; it says what else must be
// true of the request. Reads bytes of a stranger without regular expressions, in time linear in their number.

export type AgentFamily =
  /** No User-Agent. */
  | 'none'
  | 'chromium'
  | 'firefox'
  | 'safari'
  /** A browser of which nothing more is known: old, rare, inside an app. Nothing is demanded of it. */
  | 'browser'
  /** A program that says so. */
  | 'tool'
  /** Something else: an app, a device. */
  | 'app'

export interface Agent {
  readonly family: AgentFamily
  /** Major version; 0 = unknown. */
  readonly version: number
  readonly headless: boolean
}

/** Lower case; at the start of the text, or after a space or `(`. */
const toolNames: readonly string[] = [
  'aiohttp',
  'apache-httpclient',
  'axios',
  'colly',
  'curl',
  'fasthttp',
  'go-http-client',
  'got ',
  'guzzlehttp',
  'httpie',
  'httpx',
  'java/',
  'libwww-perl',
  'lwp',
  'mechanize',
  'node',
  'node-fetch',
  'php',
  'phantomjs',
  'python',
  'python-requests',
  'python-urllib',
  'reqwest',
  'ruby',
  'scrapy',
  'undici',
  'urllib',
  'wget',
]
/** Anywhere in the text. */
const headlessNames: readonly string[] = [
  'headlesschrome',
  'phantomjs',
  'puppeteer',
  'playwright',
  'selenium',
  'slimerjs',
]
/** Longer ones are cut before they are read. */
const charsMax = 512

export function agentOf(text: string): Agent {
  if (text === '') return { family: 'none', version: 0, headless: false }
  const lower = text.slice(0, charsMax).toLowerCase()
  const headless = headlessNames.some(name => lower.includes(name))
  const [family, version] = lower.startsWith('mozilla/') ? browserOf(lower) : [otherOf(lower), 0]
  return { family, version, headless }
}

function otherOf(lower: string): AgentFamily {
  return toolNames.some(name => lower.startsWith(name) || lower.includes(` ${name}`)) ? 'tool' : 'app'
}

function browserOf(lower: string): [AgentFamily, number] {
  // Browsers on iOS are WebKit, whatever they are called; their versions say nothing of it.
  for (const name of ['crios/', 'fxios/', 'edgios/', 'opios/']) if (lower.includes(name)) return ['safari', 0]
  // Edge before it became a Chromium.
  if (lower.includes(' edge/')) return ['browser', 0]
  const chrome = numberAfter(lower, 'chrome/')
  if (chrome > 0) return ['chromium', chrome]
  const firefox = numberAfter(lower, ' firefox/')
  if (firefox > 0 && lower.includes('gecko/')) return ['firefox', firefox]
  const safari = lower.includes(' safari/') ? numberAfter(lower, ' version/') : 0
  return safari > 0 ? ['safari', safari] : ['browser', 0]
}

/** The digits behind the first `name`, at most four; 0 = there are none. */
export function numberAfter(text: string, name: string): number {
  const at = text.indexOf(name)
  if (at < 0) return 0
  let value = 0
  for (let i = at + name.length; i < Math.min(text.length, at + name.length + 4); i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
  }
  return value
}
