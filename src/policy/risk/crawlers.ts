// Crawlers that name themselves: by which words, what for, and how their owners say that one can know them. The names of
// hosts are from their owners' pages; address ranges change, and are read from files that operators keep.

export type CrawlerPurpose =
  /** A search engine, a preview, an archive, a monitor. */
  | 'crawler'
  /** Finds pages for answers of an AI, with a link to them. */
  | 'search'
  /** Gathers text that models are trained with. */
  | 'training'
  /** Reads a page because a person asked an AI to. */
  | 'user'

export interface Crawler {
  readonly name: string
  readonly purpose: CrawlerPurpose
  /** Lower case, anywhere in the User-Agent. */
  readonly agents: readonly string[]
  /** The name of its address ends with one of these, and has that address. Empty: can't be known so. */
  readonly hosts: readonly string[]
}

const crawler = (
  name: string,
  purpose: CrawlerPurpose,
  agents: readonly string[],
  hosts: readonly string[] = [],
): Crawler => ({ name, purpose, agents, hosts })

/** The first that fits counts: `applebot-extended` before `applebot`. */
export const knownCrawlers: readonly Crawler[] = [
  crawler(
    'google',
    'crawler',
    ['googlebot', 'storebot-google', 'google-inspectiontool', 'googleother'],
    ['.googlebot.com', '.google.com'],
  ),
  crawler('google-adsbot', 'crawler', ['adsbot-google', 'mediapartners-google'], ['.google.com']),
  crawler('google-extended', 'training', ['google-cloudvertexbot'], ['.googlebot.com', '.google.com']),
  crawler('bing', 'crawler', ['bingbot', 'adidxbot', 'microsoftpreview'], ['.search.msn.com']),
  crawler('applebot-extended', 'training', ['applebot-extended'], ['.applebot.apple.com']),
  crawler('apple', 'crawler', ['applebot'], ['.applebot.apple.com']),
  crawler(
    'yandex',
    'crawler',
    ['yandexbot', 'yandeximages', 'yandexmobilebot'],
    ['.yandex.ru', '.yandex.net', '.yandex.com'],
  ),
  crawler('baidu', 'crawler', ['baiduspider'], ['.baidu.com', '.baidu.jp']),
  crawler('seznam', 'crawler', ['seznambot'], ['.seznam.cz']),
  crawler('petal', 'crawler', ['petalbot'], ['.petalsearch.com', '.aspiegel.com']),
  crawler('duckduckgo', 'crawler', ['duckduckbot']),
  crawler('duckduckgo-assist', 'user', ['duckassistbot']),
  crawler('amazon', 'training', ['amazonbot'], ['.crawl.amazonbot.amazon']),
  crawler('common-crawl', 'training', ['ccbot'], ['.crawl.commoncrawl.org']),
  crawler('openai-search', 'search', ['oai-searchbot']),
  crawler('openai-user', 'user', ['chatgpt-user']),
  crawler('openai-training', 'training', ['gptbot']),
  crawler('anthropic-search', 'search', ['claude-searchbot']),
  crawler('anthropic-user', 'user', ['claude-user']),
  crawler('anthropic-training', 'training', ['claudebot', 'anthropic-ai']),
  crawler('perplexity-user', 'user', ['perplexity-user']),
  crawler('perplexity', 'search', ['perplexitybot']),
  crawler('mistral-user', 'user', ['mistralai-user']),
  crawler('meta-training', 'training', ['meta-externalagent', 'facebookbot']),
  crawler('meta-user', 'user', ['meta-externalfetcher']),
  crawler('facebook', 'crawler', ['facebookexternalhit', 'facebookcatalog']),
  crawler('bytedance', 'training', ['bytespider']),
  crawler('cohere', 'training', ['cohere-ai', 'cohere-training-data-crawler']),
  crawler('diffbot', 'training', ['diffbot']),
  crawler('ahrefs', 'crawler', ['ahrefsbot', 'ahrefssiteaudit'], ['.ahrefs.com', '.ahrefs.net']),
  crawler('semrush', 'crawler', ['semrushbot'], ['.semrush.com']),
  crawler('pinterest', 'crawler', ['pinterestbot'], ['.pinterest.com']),
  crawler('internet-archive', 'crawler', ['archive.org_bot'], ['.archive.org']),
]

/** Longer texts are cut before they are looked at. */
const charsMax = 512

/** Who a User-Agent claims to be; null: no crawler. */
export function crawlerOf(agent: string, crawlers: readonly Crawler[]): Crawler | null {
  const lower = agent.slice(0, charsMax).toLowerCase()
  for (const one of crawlers) if (one.agents.some(name => lower.includes(name))) return one
  return null
}

/** Does a host name, as DNS gave it, belong to the crawler? */
export function isHostOf(host: string, { hosts }: Crawler): boolean {
  const name = host.toLowerCase().replace(/\.$/, '')
  return hosts.some(suffix => name.endsWith(suffix))
}
