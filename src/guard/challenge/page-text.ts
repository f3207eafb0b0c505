// The challenge's pages as HTML: they work without scripts, from this host alone, in light and dark, with keyboard and screen
// reader. Nothing of a request is written into one but signed tokens, our own texts and the request id, all escaped.

import { guardPath } from '../part.ts'
import { textsOf, widgetLanguage } from './texts.ts'

export const challengePath: string = `${guardPath}challenge/`
/** Of Turnstile: what a page's token must have been got for. */
export const pageAction = 'tenfold-page'

export interface PageParts {
  readonly language: string
  /** Signed; where the page's form and links lead back to. */
  readonly state: string
  readonly ticket: string
  readonly waitSeconds: number
  readonly form: boolean
  /** Key of the texts; what happened before. */
  readonly notice: 'failed' | 'changed' | null
  readonly turnstile: { readonly siteKey: string; readonly scriptUrl: string } | null
  readonly requestId: string
  /** Changes with the widget: part of its addresses. */
  readonly version: string
}

export function challengePage(parts: PageParts): string {
  const { language, state, ticket, waitSeconds, form, notice, turnstile, requestId, version } = parts
  const text = textsOf(language)
  const waitUrl = `${challengePath}wait?t=${ticket}`
  const seconds = String(waitSeconds)
  const own =
    turnstile === null ? proofWidget(language, state, version) : turnstileWidget(language, turnstile)
  return page(
    language,
    text.title,
    `<noscript><meta http-equiv="refresh" content="${waitSeconds + 1}; url=${escapeHtml(waitUrl)}"></noscript>
${turnstile === null ? proofScripts(language, version) : turnstileScripts(turnstile.scriptUrl, version)}`,
    `<h1>${escapeHtml(text.title)}</h1>
${notice === null ? '' : `<p class="notice" role="alert">${escapeHtml(text[notice])}</p>`}
<p>${escapeHtml(text.why)}</p>
${form ? `<p class="notice">${escapeHtml(text.form)}</p>` : ''}
<form id="challenge" method="post" action="${challengePath}pass">
<input type="hidden" name="s" value="${escapeHtml(state)}">${turnstile === null ? '<input type="hidden" name="altcha">' : ''}
<div class="widget" id="widget">${own}</div>
<p><button id="go" type="submit" hidden>${escapeHtml(text.go)}</button></p>
</form>
${turnstile === null ? `<p class="small hint">${escapeHtml(text.hint)}</p>` : ''}
<noscript><p class="notice">${escapeHtml(text.noScript.replace('{seconds}', seconds))}</p></noscript>
<p class="small">${escapeHtml(text.other)} ${otherWay(turnstile === null, state, text.go)}<a href="${escapeHtml(waitUrl)}">${escapeHtml(text.wait)}</a></p>
${footer(text.request, requestId)}`,
  )
}

/** Who can't load Turnstile's script solves the sum. */
function otherWay(isProof: boolean, state: string, go: string): string {
  return isProof
    ? ''
    : `<a href="${challengePath}page?way=pow&amp;s=${escapeHtml(state)}">${escapeHtml(go)}</a> · `
}

function proofWidget(language: string, state: string, version: string): string {
  const options = JSON.stringify({
    humanInteractionSignature: false,
    hideLogo: true,
    hideFooter: true,
    minDuration: 300,
  })
  return `<altcha-widget name="widget" auto="onload" language="${widgetLanguage(language)}" challenge="${challengePath}new?s=${escapeHtml(state)}" configuration="${escapeHtml(options)}" data-worker="${challengePath}worker.js?v=${version}"></altcha-widget>`
}

function proofScripts(language: string, version: string): string {
  return `<link rel="stylesheet" href="${challengePath}widget.css?v=${version}">
<script src="${challengePath}page.js?v=${version}" defer></script>
<script type="module" src="${challengePath}widget.js?v=${version}"></script>
${language === 'en' ? '' : `<script type="module" src="${challengePath}text-${language}.js?v=${version}"></script>`}`
}

function turnstileWidget(language: string, { siteKey }: { siteKey: string }): string {
  return `<div class="cf-turnstile" data-sitekey="${escapeHtml(siteKey)}" data-action="${pageAction}" data-language="${language}" data-callback="tenfoldPassed" data-theme="auto"></div>`
}

function turnstileScripts(scriptUrl: string, version: string): string {
  return `<script src="${challengePath}page.js?v=${version}" defer></script>
<script src="${escapeHtml(scriptUrl)}" async defer></script>`
}

export interface NoticeParts {
  readonly language: string
  readonly notice: 'old' | 'changed' | 'cookies' | 'busy' | 'waiting' | 'passed'
  readonly waitSeconds: number
  /** Where it goes on: by itself when `waitSeconds` is above 0, else by a link. */
  readonly url: string
  readonly link: 'again' | 'back' | 'go'
  readonly requestId: string
  readonly version: string
}

/** One sentence, and a way on: never a dead end. */
export function noticePage(parts: NoticeParts): string {
  const { language, notice, waitSeconds, url, link, requestId } = parts
  const text = textsOf(language)
  const waits = waitSeconds > 0
  const sentence = notice === 'busy' ? `${text.busy} ${text.waiting}` : text[notice]
  return page(
    language,
    text.title,
    waits ? `<meta http-equiv="refresh" content="${waitSeconds}; url=${escapeHtml(url)}">` : '',
    `<h1>${escapeHtml(text.title)}</h1>
<p role="status">${escapeHtml(sentence.replace('{seconds}', String(waitSeconds)))}</p>
<p><a class="${waits ? 'small' : 'button'}" href="${escapeHtml(url)}">${escapeHtml(text[link])}</a></p>
${footer(text.request, requestId)}`,
  )
}

function footer(label: string, requestId: string): string {
  return `<p class="small id">${escapeHtml(label)} ${escapeHtml(requestId)}</p>`
}

function page(language: string, title: string, head: string, body: string): string {
  return `<!doctype html>
<html lang="${language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><meta name="color-scheme" content="light dark"><title>${escapeHtml(title)}</title>
<link rel="stylesheet" href="${challengePath}page.css">
${head}
</head><body><main>
${body}
</main></body></html>
`
}

export const pageStyle = `:root{color-scheme:light dark;--altcha-max-width:100%;--altcha-border-radius:10px}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.25rem;font:1rem/1.55 system-ui,sans-serif;color:light-dark(#1c2330,#e7eaf0);background:light-dark(#eef1f6,#12151b)}
main{width:min(30rem,100%);padding:2rem;border-radius:16px;background:light-dark(#fff,#1c212b);box-shadow:0 1px 2px #0002,0 12px 32px #0000001f}
h1{margin:0 0 .75rem;font-size:1.45rem;line-height:1.25}
p{margin:.75rem 0}
.widget{margin:1.25rem 0;min-height:3.25rem}
.notice{padding:.7rem .9rem;border-radius:10px;background:light-dark(#fff4d6,#3a3113);color:light-dark(#4a3500,#ffe9ac)}
.small{font-size:.875rem;color:light-dark(#4c5566,#aab3c2)}
.id{margin-bottom:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
a{color:light-dark(#0b57c2,#8ab8ff)}
button,.button{display:inline-block;padding:.65rem 1.2rem;border:0;border-radius:10px;font:inherit;font-weight:600;text-decoration:none;cursor:pointer;color:#fff;background:#0b57c2}
[hidden]{display:none}
@media (scripting:none){.widget,.hint,button{display:none}}
:focus-visible{outline:3px solid light-dark(#0b57c2,#8ab8ff);outline-offset:2px}
`

/** Registers the widget's worker from this host, and sends the form once it is solved. */
export const pageScript = `(() => {
  const form = document.getElementById('challenge')
  if (!form) return
  const widget = form.querySelector('altcha-widget')
  let sent = false
  const send = () => {
    if (sent) return
    sent = true
    form.submit()
  }
  const go = document.getElementById('go')
  globalThis.tenfoldPassed = send
  if (!widget) return
  // Without HTTPS a browser has no cryptography for pages: who can't compute waits.
  const wait = document.querySelector('a[href*="/wait?"]')
  if (!globalThis.isSecureContext && wait) location.replace(wait.href)
  const ready = () => {
    const algorithms = globalThis.$altcha && globalThis.$altcha.algorithms
    if (algorithms) algorithms.set('PBKDF2/SHA-256', () => new Worker(widget.dataset.worker))
    return Boolean(algorithms)
  }
  if (!ready()) customElements.whenDefined('altcha-widget').then(ready)
  widget.addEventListener('verified', event => {
    form.elements.altcha.value = event.detail.payload
    go.hidden = false
    send()
  })
})()
`

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
