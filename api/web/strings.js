// The page's words in both languages, under the same keys. Functions take the numbers or words they speak of.

const en = {
  lang: 'en',
  skip: 'Skip to the results', searchLabel: 'Search products', search: 'Search', clear: 'Clear the search box',
  placeholder: 'Describe what you need', language: 'Language', filters: 'Filters',
  suggestions: 'Suggestions',
  kinds: { category: 'Category', brand: 'Brand', product: 'Product', phrase: '', query: '' },
  sort: 'Sort by', sorts: { '': 'Relevance', 'price:asc': 'Price, low to high', 'price:desc': 'Price, high to low' },
  count: (n, text, more) => `${more ? 'At least ' : ''}${text} ${n === 1 ? 'product' : 'products'}`,
  loading: 'Searching', resultsFor: (q) => `Results for “${q}”`, allProducts: 'All products', matching: 'Matching products',
  similarTo: (title) => `Similar to “${title}”`, similarProducts: 'Similar products', back: 'Back to the results',
  welcome: 'What are you looking for?', welcomeHint: 'Say it in your own words. A price limit or something to leave out is understood.',
  examples: 'Try', departments: 'Browse', exampleQueries: ['waterproof hiking jacket under $80', 'quiet coffee grinder', '防水登山外套 500元以内'],
  fields: {
    brand: 'Brand', category: 'Category', price: 'Price', sale_price: 'Sale price', availability: 'Availability', color: 'Colour',
    size: 'Size', material: 'Material', title: 'Title', description: 'Description', mpn: 'Model number', gtin: 'Barcode', currency: 'Currency',
  },
  values: { availability: { in_stock: 'In stock', out_of_stock: 'Out of stock', preorder: 'Pre-order', backorder: 'On back-order' } },
  yes: 'Yes', no: 'No', was: 'Was', now: 'Now', noPrice: 'Price on request',
  priceFrom: 'From', priceTo: 'To', currency: 'Currency', anyCurrency: 'Any currency', apply: 'Apply',
  more: (n) => `Show ${n} more`, fewer: 'Show fewer', withCount: (n) => ` (${n} ${n === 1 ? 'product' : 'products'})`,
  showFilters: (n) => (n ? `Filters (${n})` : 'Filters'), done: 'Show results',
  applied: 'Applied', understood: { price: 'Price', exclude: 'Without', measure: 'Size' },
  corrected: (words) => `Also searched for “${words}”.`, exactly: (words) => `Search only for “${words}”`, nearest: 'What comes nearest', code: 'Model number', remove: (name) => `Remove ${name}`, clearAll: 'Clear all',
  atLeast: (m) => `from ${m}`, atMost: (m) => `up to ${m}`, between: (a, b) => `${a} – ${b}`,
  why: 'Why this', whyRegion: (title) => `Why this: ${title}`, whyWait: 'Reading the catalogue',
  checked: (n, dropped) => `${n} ${n === 1 ? 'sentence' : 'sentences'} checked against the catalogue${dropped ? `, ${dropped} dropped` : ''}.`,
  degraded: 'Written from a template.', nothingToSay: 'Nothing could be confirmed from the catalogue for this query.',
  brokeOff: 'The explanation broke off.', source: 'Source', similar: 'Similar', similarName: (title) => `Similar to ${title}`,
  pages: 'Pages', previous: 'Previous', next: 'Next', page: (n) => `Page ${n}`,
  zero: (q) => `Nothing matches “${q}”`, zeroNoQuery: 'Nothing matches these filters', zeroWhat: 'What was searched for', zeroWords: 'Words',
  zeroDrop: 'Search without it', zeroDropOne: (name) => `Search without ${name}`, zeroFewer: 'Search fewer words', zeroStartOver: 'See all products',
  pastEnd: 'There is no such page any more.', firstPage: 'To the first page',
  guide: 'Guide', guideHello: 'What are you looking for? Tell me, and I ask, narrow down and compare.', guideAsk: 'Your answer', guideSend: 'Send',
  guideAgain: 'Start over', guideClose: 'Close', guideAny: 'No preference', guideNeed: 'What you need', guideCompared: 'Comparison',
  guideSame: 'By their records there is no difference.',
  personalOn: 'Personal: on', personalOff: 'Personal: off', personalAsk: 'Let this shop remember what you look at here, and order results by it',
  personalForget: 'Switch off, and have everything forgotten', personalNote: (n) => `In your own order, by ${n} ${n === 1 ? 'thing' : 'things'} you did here.`,
  failed: 'The search did not work', unreachable: 'The server did not answer. Check the connection and try again.', retry: 'Try again',
};

const zh = {
  lang: 'zh',
  skip: '跳到搜索结果', searchLabel: '搜索商品', search: '搜索', clear: '清空搜索框',
  placeholder: '说说您想买什么', language: '语言', filters: '筛选',
  suggestions: '搜索建议',
  kinds: { category: '分类', brand: '品牌', product: '商品', phrase: '', query: '' },
  sort: '排序', sorts: { '': '相关度', 'price:asc': '价格从低到高', 'price:desc': '价格从高到低' },
  count: (n, text, more) => `${more ? '至少 ' : ''}${text} 件商品`,
  loading: '正在搜索', resultsFor: (q) => `“${q}”的搜索结果`, allProducts: '全部商品', matching: '符合条件的商品',
  similarTo: (title) => `与“${title}”相似的商品`, similarProducts: '相似商品', back: '返回搜索结果',
  welcome: '您想买什么？', welcomeHint: '用自己的话说就好，价格上限和不想要的东西都能听懂。',
  examples: '试试', departments: '按分类浏览', exampleQueries: ['防水登山外套 500元以内', '安静的咖啡磨豆机', 'waterproof hiking jacket under $80'],
  fields: {
    brand: '品牌', category: '分类', price: '价格', sale_price: '优惠价', availability: '库存', color: '颜色',
    size: '尺码', material: '材质', title: '名称', description: '描述', mpn: '型号', gtin: '条码', currency: '货币',
    weight: '重量', capacity: '容量', power: '功率', gender: '适用人群', age_group: '年龄段', pattern: '图案', condition: '成色',
    waterproof: '防水', battery_life: '续航', length: '长度', width: '宽度', height: '高度', volume: '容积', season: '季节', style: '款式',
    warranty: '保修', storage: '存储容量', memory: '内存', screen_size: '屏幕尺寸', wireless: '无线', flavor: '口味', age: '年龄',
  },
  values: {
    availability: { in_stock: '有货', out_of_stock: '缺货', preorder: '预售', backorder: '可预订' },
    gender: { male: '男', female: '女', unisex: '男女通用' },
    age_group: { newborn: '新生儿', infant: '婴儿', toddler: '幼儿', kids: '儿童', adult: '成人' },
    condition: { new: '全新', refurbished: '翻新', used: '二手' },
  },
  yes: '是', no: '否', was: '原价', now: '现价', noPrice: '价格待询',
  priceFrom: '最低', priceTo: '最高', currency: '货币', anyCurrency: '不限货币', apply: '应用',
  more: (n) => `再显示 ${n} 项`, fewer: '收起', withCount: (n) => `（${n} 件）`,
  showFilters: (n) => (n ? `筛选（${n}）` : '筛选'), done: '查看结果',
  applied: '已应用', understood: { price: '价格', exclude: '不要', measure: '规格' },
  corrected: (words) => `同时搜索了“${words}”。`, exactly: (words) => `只搜“${words}”`, nearest: '最接近的商品', code: '型号', remove: (name) => `移除 ${name}`, clearAll: '全部清除',
  atLeast: (m) => `${m} 起`, atMost: (m) => `${m} 以内`, between: (a, b) => `${a} – ${b}`,
  why: '为什么推荐', whyRegion: (title) => `为什么推荐：${title}`, whyWait: '正在查阅商品资料',
  checked: (n, dropped) => `${n} 句话已与商品资料核对${dropped ? `，${dropped} 句未通过、已删去` : ''}。`,
  degraded: '按模板生成。', nothingToSay: '商品资料里没有能证实的理由。',
  brokeOff: '说明中断了。', source: '依据', similar: '相似商品', similarName: (title) => `与 ${title} 相似的商品`,
  pages: '分页', previous: '上一页', next: '下一页', page: (n) => `第 ${n} 页`,
  zero: (q) => `没有找到“${q}”`, zeroNoQuery: '没有符合这些条件的商品', zeroWhat: '本次搜索的条件', zeroWords: '搜索词',
  zeroDrop: '去掉再搜', zeroDropOne: (name) => `去掉 ${name} 再搜`, zeroFewer: '少用几个词', zeroStartOver: '查看全部商品',
  pastEnd: '没有这一页了。', firstPage: '回到第一页',
  guide: '导购', guideHello: '您好，想找什么？说说看，我来帮您问清楚、缩小范围、做比较。', guideAsk: '说说您的需求', guideSend: '发送',
  guideAgain: '重新开始', guideClose: '关闭', guideAny: '无所谓', guideNeed: '您的需求', guideCompared: '比较',
  guideSame: '从资料看没有区别。',
  personalOn: '个性化：开', personalOff: '个性化：关', personalAsk: '允许本店记住您在这里看过的商品，并据此排序',
  personalForget: '关闭，并清除所有记录', personalNote: (n) => `已按您在这里的 ${n} 次操作排序。`,
  failed: '搜索没有成功', unreachable: '服务器没有应答，请检查网络后重试。', retry: '重试',
};

export const STRINGS = { en, zh };

const STORE_KEY = 'daogou.lang';

/** Return the language to begin with: the address's, else the remembered one, else the browser's. */
export function firstLanguage(fromAddress) {
  if (fromAddress) return fromAddress;
  let remembered = null;
  try { remembered = localStorage.getItem(STORE_KEY); } catch { /* storage may be forbidden */ }
  if (Object.hasOwn(STRINGS, remembered ?? '')) return remembered;
  return (navigator.language ?? '').toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

export function rememberLanguage(lang) {
  try { localStorage.setItem(STORE_KEY, lang); } catch { /* storage may be forbidden */ }
}

/** Put the page's fixed words into the elements that name them with `data-t` and `data-t-label`. */
export function translate(t) {
  document.documentElement.lang = t.lang === 'zh' ? 'zh-CN' : 'en';
  for (const node of document.querySelectorAll('[data-t]')) node.textContent = t[node.dataset.t];
  for (const node of document.querySelectorAll('[data-t-label]')) node.setAttribute('aria-label', t[node.dataset.tLabel]);
  for (const button of document.querySelectorAll('[data-lang]')) {
    button.setAttribute('aria-pressed', String(button.dataset.lang === t.lang));
  }
}
