"""The words the demo catalogue is written with, in Chinese and in English.

Brands are invented. A product carries one kind tag (what it is) and up to two benefit tags
(what is good about it); either language names both, so a text model can learn them.
"""

from typing import NamedTuple


class Kind(NamedTuple):
    """What a product is: its tag, how titles name it in either language, and its sizes.

    What is durable is not bought again soon, whatever its shelf says.
    """

    tag: str
    chinese: tuple[str, ...]
    english: tuple[str, ...]
    sizes: tuple[str, ...] = ()
    is_durable: bool = False


class Category(NamedTuple):
    """A shelf: its typical price in yuan, cost as a share of price, days to a re-purchase.

    Benefits are the tags of those that make sense here.
    """

    name: str
    median_price: float
    cost_rate: float
    repurchase_days: int | None
    benefits: tuple[str, ...]
    chinese_usage: str
    english_usage: str
    kinds: tuple[Kind, ...]


class Benefit(NamedTuple):
    """What is good about a product: its tag, a word for titles and a phrase for descriptions."""

    tag: str
    chinese: str
    english: str
    chinese_phrase: str
    english_phrase: str


BENEFITS: tuple[Benefit, ...] = (
    Benefit("礼盒", "礼盒装", "Gift Box", "礼盒包装,送人体面", "comes in a gift box"),
    Benefit("有机", "有机", "Organic", "有机认证原料", "made from certified organic material"),
    Benefit(
        "便携", "便携", "Travel-Size", "小巧便携,出差旅行随手带走", "small enough to travel with"
    ),
    Benefit("家庭装", "家庭装", "Family Pack", "家庭装大容量,更划算", "a family pack that lasts"),
    Benefit(
        "国货",
        "国货之光",
        "Made-in-China",
        "国货老牌,匠心出品",
        "from a Chinese maker of long standing",
    ),
    Benefit(
        "进口", "原装进口", "Imported", "海外原装进口,批次可查", "imported, with traceable batches"
    ),
    Benefit(
        "限量",
        "限量版",
        "Limited Edition",
        "限量发售,售完不补",
        "a limited run that is not restocked",
    ),
    Benefit("学生党", "学生平价", "Budget", "平价好用,学生党也能入", "kind to a student budget"),
    Benefit("轻奢", "轻奢", "Premium", "轻奢质感,细节讲究", "premium feel in every detail"),
    Benefit(
        "敏感适用", "敏感适用", "Gentle", "温和无刺激,敏感人群适用", "gentle for sensitive people"
    ),
)

CHINESE_BRANDS = (
    "棉朵", "山语", "小鹿家", "青禾记", "拾光里", "木子里", "云栖", "谷雨集", "南枝", "半亩",
    "海棠屋", "松间", "白露", "一盏", "禾田",
)  # fmt: skip
ENGLISH_BRANDS = (
    "Lumo", "Tern & Oak", "Kinfield", "Nordly", "Wilder Bay", "Papaver", "Hearthside", "Moss Lane",
    "Orrin", "Saltmarsh",
)  # fmt: skip

_FLUIDS, _DROPS, _TUBES = ("30ml", "50ml", "120ml"), ("15ml", "30ml"), ("100ml", "150ml")
_PIECES, _SHADES = ("5片", "10片", "20片"), ("01", "02", "03", "05")
_STAGES, _BABY_SIZES = ("1段", "2段", "3段"), ("S码", "M码", "L码")
_GRAMS, _TEA, _BAGS = ("100g", "250g", "500g"), ("50g", "125g", "357g"), ("10袋", "20袋", "40袋")
_VOLUMES, _BEDS, _LITRES = ("小号", "中号", "大号"), ("1.5m", "1.8m"), ("1L", "1.5L", "3L")
_PANS, _WEAR, _SHOES = ("22cm", "26cm", "30cm"), ("S", "M", "L", "XL"), ("36码", "38码", "41码")
_KILOS = ("1.5kg", "2.5kg", "10kg")

CATEGORIES: tuple[Category, ...] = (
    Category("护肤", 139, 0.38, 60, ("礼盒", "便携", "国货", "进口", "学生党", "轻奢", "敏感适用"),
             "早晚洁面后取适量轻拍至吸收",
             "Pat on after cleansing, morning and night", (
        Kind("保湿", ("补水保湿面霜", "玻尿酸保湿精华", "保湿爽肤水"),
             ("Hydrating Face Cream", "Moisture Serum"), _FLUIDS),
        Kind("防晒", ("清爽防晒乳", "户外防晒喷雾", "物理防晒霜"),
             ("Daily Sunscreen SPF50", "Sun Shield Spray"), _FLUIDS),
        Kind("美白", ("烟酰胺美白精华", "美白淡斑霜"),
             ("Brightening Serum", "Dark Spot Brightening Cream"), _FLUIDS),
        Kind("抗初老", ("抗初老眼霜", "胶原抗皱精华"),
             ("Anti-Aging Eye Cream", "Anti-Wrinkle Ampoule"), _DROPS),
        Kind("洁面", ("氨基酸洁面乳", "温和洁面慕斯"),
             ("Amino Cleanser", "Foaming Face Cleanser"), _TUBES),
        Kind("面膜", ("蚕丝面膜", "舒缓修护面膜"), ("Silk Sheet Mask", "Repair Mask"), _PIECES),
    )),
    Category("彩妆", 99, 0.35, 120, ("礼盒", "国货", "限量", "学生党", "轻奢", "敏感适用"),
             "少量多次上妆,更服帖",
             "Build up in thin layers", (
        Kind("口红", ("丝绒口红", "镜面唇釉口红"), ("Velvet Lipstick", "Gloss Lipstick"), _SHADES),
        Kind("底妆", ("持妆粉底液", "养肤底妆气垫"),
             ("Long-Wear Foundation", "Cushion Foundation"), _DROPS),
        Kind("眼妆", ("大地色眼影盘", "纤长睫毛膏", "顺滑眼线笔"),
             ("Eyeshadow Palette", "Eyeliner Pen"), _SHADES),
        Kind("腮红", ("奶油腮红", "渐变腮红盘"), ("Cream Blush", "Blush Palette"), _SHADES),
        Kind("香水", ("木质调淡香水", "花果香水"), ("Woody Perfume", "Floral Perfume"), _FLUIDS),
        Kind("卸妆", ("卸妆油", "眼唇卸妆液"),
             ("Makeup Remover Oil", "Makeup Removing Balm"), _TUBES),
    )),
    Category("母婴", 159, 0.62, 30, ("有机", "家庭装", "国货", "进口", "敏感适用", "礼盒"),
             "请按月龄选择,使用前阅读说明",
             "Choose by age in months and read the label", (
        Kind("奶粉", ("婴幼儿配方奶粉", "羊奶粉"),
             ("Infant Formula Milk", "Goat Milk Powder"), _STAGES),
        Kind("纸尿裤", ("超薄纸尿裤", "夜用拉拉裤纸尿裤"),
             ("Ultra-Thin Diapers", "Overnight Diapers"), _BABY_SIZES),
        Kind("辅食", ("婴儿辅食米粉", "果泥辅食"),
             ("Baby Rice Cereal", "Fruit Puree Baby Food"), _GRAMS),
        Kind("玩具", ("益智积木玩具", "早教玩具"),
             ("Building Block Toy", "Early Learning Toy"), is_durable=True),
        Kind("童装", ("纯棉童装套装", "童装卫衣"),
             ("Cotton Kidswear Set", "Kidswear Hoodie"), _BABY_SIZES, is_durable=True),
        Kind("孕妈", ("孕妇枕", "孕妈托腹带"),
             ("Maternity Pillow", "Maternity Belt"), is_durable=True),
    )),
    Category("零食", 45, 0.55, 21, ("礼盒", "有机", "家庭装", "国货", "进口", "学生党"),
             "开袋即食,请置于阴凉干燥处",
             "Ready to eat; keep cool and dry", (
        Kind("坚果", ("每日坚果", "夏威夷果坚果", "盐焗腰果坚果"),
             ("Daily Mixed Nuts", "Roasted Cashew Nuts"), _GRAMS),
        Kind("饼干", ("黄油曲奇饼干", "苏打饼干"), ("Butter Cookies", "Soda Cookies"), _GRAMS),
        Kind("肉脯", ("蜜汁猪肉脯", "手撕牛肉脯"), ("Honey Pork Jerky", "Beef Jerky"), _GRAMS),
        Kind("果干", ("芒果干", "草莓果干"),
             ("Dried Mango Slices", "Dried Strawberry Fruit"), _GRAMS),
        Kind("辣味", ("麻辣小龙虾尾", "香辣豆干"),
             ("Spicy Crayfish Tails", "Spicy Tofu Snack"), _GRAMS),
        Kind("低糖", ("低糖全麦面包", "零糖低糖蛋糕"),
             ("Low-Sugar Bread", "Sugar-Free Low-Sugar Cake"), _GRAMS),
    )),
    Category("茶饮", 88, 0.45, 45, ("礼盒", "有机", "便携", "国货", "限量", "轻奢"),
             "85 度水冲泡,三泡风味最佳",
             "Best at 85 degrees, three infusions", (
        Kind("绿茶", ("明前龙井绿茶", "碧螺春绿茶"),
             ("Longjing Green Tea", "Jasmine Green Tea"), _TEA),
        Kind("普洱", ("古树普洱熟茶", "普洱生茶饼"),
             ("Aged Pu'er Tea Cake", "Ripe Pu'er Tea"), _TEA),
        Kind("花茶", ("桂花乌龙花茶", "玫瑰花茶"),
             ("Osmanthus Flower Tea", "Rose Flower Tea"), _TEA),
        Kind("咖啡", ("云南手冲咖啡豆", "挂耳咖啡"),
             ("Yunnan Coffee Beans", "Drip Bag Coffee"), _BAGS),
        Kind("茶具", ("汝窑茶具套装", "旅行茶具"),
             ("Ru Kiln Teaware Set", "Travel Teaware"), is_durable=True),
        Kind("果茶", ("冷泡水果茶", "百香果茶"),
             ("Cold Brew Fruit Infusion", "Passionfruit Infusion"), _BAGS),
    )),
    Category("家居", 79, 0.5, None, ("便携", "家庭装", "国货", "限量", "学生党", "轻奢"),
             "一擦即净,日常打理省心",
             "Wipes clean, easy to live with", (
        Kind("收纳", ("桌面收纳盒", "衣柜收纳箱"),
             ("Desk Storage Box", "Wardrobe Storage Bin"), _VOLUMES),
        Kind("香薰", ("无火香薰", "香薰蜡烛"), ("Reed Diffuser", "Scented Candle"), _FLUIDS),
        Kind("床品", ("长绒棉四件套床品", "天丝凉席床品"),
             ("Long-Staple Cotton Bedding", "Tencel Bedding Set"), _BEDS),
        Kind("清洁", ("厨房重油污清洁剂", "免手洗拖把清洁套装"),
             ("Kitchen Cleaning Spray", "Mop Cleaning Kit"), _LITRES),
        Kind("灯具", ("护眼台灯", "氛围落地灯"), ("Eye-Care Desk Lamp", "Ambient Floor Lamp")),
        Kind("绿植", ("水培绿植", "桌面多肉绿植"),
             ("Hydroponic House Plant", "Succulent Desk Plant")),
    )),
    Category("厨房", 169, 0.52, None, ("礼盒", "家庭装", "国货", "进口", "学生党", "轻奢"),
             "首次使用前请用温水清洗",
             "Rinse with warm water before first use", (
        Kind("锅具", ("不粘炒锅", "珐琅铸铁锅"), ("Non-Stick Wok Pan", "Cast Iron Pot"), _PANS),
        Kind("刀具", ("大马士革刀具", "多功能剪刀刀具组"),
             ("Damascus Chef Knife", "Kitchen Knife Set")),
        Kind("小家电", ("破壁机小家电", "空气炸锅小家电"),
             ("High-Speed Blender", "Air Fryer Appliance"), _LITRES),
        Kind("烘焙", ("烘焙模具套装", "高筋烘焙面粉"), ("Baking Mould Set", "Baking Bread Flour")),
        Kind("保鲜", ("玻璃保鲜盒", "可重复使用保鲜膜"),
             ("Glass Fresh-Keeping Box", "Reusable Fresh Wrap"), _LITRES),
        Kind("餐具", ("日式陶瓷餐具", "不锈钢餐具套装"),
             ("Ceramic Tableware", "Stainless Tableware Set")),
    )),
    Category("服饰", 199, 0.42, None, ("国货", "进口", "限量", "学生党", "轻奢", "敏感适用"),
             "建议冷水轻柔机洗,悬挂晾干",
             "Cold gentle wash, hang dry", (
        Kind("连衣裙", ("法式碎花连衣裙", "真丝连衣裙"),
             ("French Floral Dress", "Silk Midi Dress"), _WEAR),
        Kind("卫衣", ("宽松连帽卫衣", "加绒卫衣"),
             ("Relaxed Hoodie Sweatshirt", "Fleece Sweatshirt"), _WEAR),
        Kind("牛仔", ("高腰直筒牛仔裤", "水洗牛仔外套"),
             ("High-Waist Denim Jeans", "Washed Denim Jacket"), _WEAR),
        Kind("通勤", ("免烫通勤衬衫", "垂感通勤西装"),
             ("Non-Iron Office Shirt", "Draped Office Blazer"), _WEAR),
        Kind("内衣", ("无痕内衣", "莫代尔内衣套装"),
             ("Seamless Underwear", "Modal Underwear Set"), _WEAR),
        Kind("运动鞋", ("轻量缓震运动鞋", "复古运动鞋"),
             ("Cushioned Sneakers", "Retro Sneakers"), _SHOES),
    )),
    Category("运动", 129, 0.48, None, ("便携", "国货", "进口", "限量", "学生党"),
             "使用后通风晾干,避免暴晒",
             "Air dry after use, avoid strong sun", (
        Kind("瑜伽", ("加厚瑜伽垫", "瑜伽服套装"), ("Thick Yoga Mat", "Yoga Wear Set")),
        Kind("跑步", ("反光跑步腰包", "速干跑步短裤"),
             ("Reflective Running Belt", "Quick-Dry Running Shorts"), _WEAR),
        Kind("露营", ("速开露营帐篷", "露营折叠椅"),
             ("Pop-Up Camping Tent", "Folding Camping Chair")),
        Kind("骑行", ("骑行头盔", "骑行手套"), ("Cycling Helmet", "Cycling Gloves"), _WEAR),
        Kind("健身", ("可调健身哑铃", "健身弹力带"),
             ("Adjustable Gym Dumbbell", "Gym Resistance Band")),
        Kind("游泳", ("防雾游泳镜", "连体游泳衣"), ("Anti-Fog Swim Goggles", "One-Piece Swimsuit")),
    )),
    Category("宠物", 99, 0.58, 30, ("有机", "便携", "家庭装", "国货", "进口", "敏感适用"),
             "换粮请用七天逐步过渡",
             "Switch over seven days", (
        Kind("猫粮", ("全价冻干猫粮", "无谷猫粮"),
             ("Freeze-Dried Cat Food", "Grain-Free Cat Food"), _KILOS),
        Kind("狗粮", ("小型犬狗粮", "鲜肉狗粮"),
             ("Small Breed Dog Food", "Fresh Meat Dog Food"), _KILOS),
        Kind("猫砂", ("豆腐猫砂", "除臭膨润土猫砂"),
             ("Tofu Cat Litter", "Deodorising Clay Litter"), _KILOS),
        Kind("宠物玩具", ("逗猫棒宠物玩具", "耐咬宠物玩具"),
             ("Teaser Wand Pet Toy", "Chew-Proof Pet Toy"), is_durable=True),
        Kind("牵引", ("反光牵引绳", "胸背牵引套装"),
             ("Reflective Dog Leash", "Harness and Leash Set"), _WEAR, is_durable=True),
        Kind("驱虫", ("体外驱虫滴剂", "驱虫项圈"), ("Flea Drops", "Flea and Tick Collar")),
    )),
)  # fmt: skip

KINDS: tuple[tuple[int, Kind], ...] = tuple(
    (number, kind) for number, category in enumerate(CATEGORIES) for kind in category.kinds
)
"""Every kind with the index of its category."""

CHINESE_HEADLINES = (
    "{kind}怎么选?三步看懂",
    "达人实测:六款{kind}横评",
    "新手必看|{kind}避坑指南",
    "这个夏天,{kind}这样搭",
)
ENGLISH_HEADLINES = (
    "How to Choose: {kind}",
    "Six of a Kind: {kind} Reviewed",
    "A Beginner's Guide to {kind}",
)

SEARCH_SUFFIXES = ("", " 推荐", " 平价", " 送礼")
