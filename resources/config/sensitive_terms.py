"""What nobody wants to be addressed by: of health, of money, of the under-aged."""

SENSITIVE_TERMS = (
    *("疾病", "慢性病", "糖尿病", "高血压", "癌", "肿瘤", "艾滋", "抑郁", "焦虑", "心理健康"),
    *("医疗", "医药", "药品", "处方", "孕", "避孕", "不孕", "更年期", "性健康", "戒烟", "戒酒"),
    *("高血壓", "腫瘤", "愛滋", "憂鬱", "抑鬱", "焦慮", "醫療", "醫藥", "藥品", "處方", "戒菸"),
    *("disease", "diabetes", "diabetic", "hypertension", "cancer", "hiv", "depression", "anxiety"),
    *("health", "mental health", "medical", "medicine", "medication", "prescription"),
    *("pregnancy", "pregnant", "maternity", "fertility", "contraception", "menopause"),
    *("贷款", "借贷", "网贷", "信贷", "负债", "债务", "欠款", "征信", "信用卡", "破产", "理财"),
    *("貸款", "借貸", "網貸", "信貸", "負債", "債務", "欠款", "徵信", "破產", "理財", "保險"),
    *("保险", "收入", "loan", "debt", "mortgage", "credit score", "credit card", "bankruptcy"),
    *("income", "insurance", "investment"),
    *("未成年", "儿童", "婴儿", "婴幼儿", "青少年", "中小学", "小学生", "中学生"),
    *("兒童", "嬰兒", "嬰幼兒", "中小學", "小學生", "中學生"),
    *("minor", "child", "children", "baby", "babies", "infant", "toddler", "teen", "teenager"),
)

# Of a shop for health alone, where most of what it sells would tell of somebody's health.
HEALTH_TERMS = (
    *("失眠", "便秘", "痛经", "湿疹", "过敏", "脱发", "痔", "痛风", "骨质疏松", "哮喘", "阳痿"),
    *("早泄", "妇科", "肝炎", "心脏病", "中风", "减肥", "康复", "假牙", "尿失禁"),
    *("insomnia", "constipation", "eczema", "allergy", "allergies", "hair loss", "hemorrhoid"),
    *("gout", "osteoporosis", "asthma", "impotence", "hepatitis", "stroke", "weight loss"),
    *("incontinence", "arthritis", "migraine", "obesity"),
)
