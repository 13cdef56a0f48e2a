# Rscript tests/oracles/crossed.R [model_by_word.csv name]
# lme4 on the model × word table with random slopes; writes crossed.csv (or <name>_crossed.csv).
library(lme4)
args <- commandArgs(trailingOnly = TRUE)
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
path <- if (length(args) == 2) args[1] else file.path(here, "model_by_word.csv")
out <- if (length(args) == 2) paste0(args[2], "_crossed.csv") else "crossed.csv"
d <- read.csv(path, stringsAsFactors = TRUE)
d$f <- ifelse(d$family == "Llama", 0.5, -0.5)
d$c <- ifelse(d$category == "Agency", 0.5, -0.5)
fit <- lmer(y ~ f * c + (1 + c | model) + (1 + f | word), d,
            control = lmerControl(optimizer = "bobyqa", optCtrl = list(maxfun = 1e6, rhoend = 1e-12)))
se <- sqrt(diag(as.matrix(vcov(fit))))
result <- data.frame(term = names(fixef(fit)), estimate = fixef(fit), se = se)
result[-1] <- lapply(result[-1], function(v) trimws(formatC(v, digits = 14, format = "g")))
write.csv(result, file.path(here, out), row.names = FALSE, quote = FALSE)
print(VarCorr(fit))
