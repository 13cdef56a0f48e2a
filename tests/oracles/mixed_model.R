# Rscript tests/oracles/mixed_model.R [medians.csv name]
# Fits the stored synthetic medians with nlme::lme, control tightened (its defaults stop about 1e-4 early), and writes
# mixed_model_terms.csv, mixed_model_fits.csv and mixed_model_f.csv. With a CSV of medians and a name it writes
# <name>_terms.csv and so on instead; that is how big2_*.csv came from the published scores.
library(nlme)
args <- commandArgs(trailingOnly = TRUE)
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
if (length(args) == 2) {
  data <- setNames(args[1], args[2]); stem <- args[2]
} else {
  data <- c(balanced = file.path(here, "medians_balanced.csv"), unbalanced = file.path(here, "medians_unbalanced.csv"))
  stem <- "mixed_model"
}
control <- lmeControl(opt = "optim", maxIter = 1000, msMaxIter = 1000, tolerance = 1e-14, msTol = 1e-14,
                      niterEM = 500, reltol = 1e-15)
terms <- fits <- fs <- NULL
for (name in names(data)) for (method in c("REML", "ML")) {
  d <- read.csv(data[[name]], stringsAsFactors = TRUE)
  d$framing <- factor(d$framing, levels = c("positive", "negative"))
  fit <- lme(y ~ family * category * framing, random = ~ 1 | model, data = d, method = method, control = control)
  table <- summary(fit)$tTable
  terms <- rbind(terms, data.frame(data = name, method, term = rownames(table), estimate = table[, 1], se = table[, 2],
                                   df = table[, 3], t = table[, 4], p = table[, 5]))
  sd_model <- fit$sigma * sqrt(as.numeric(pdMatrix(fit$modelStruct$reStruct)[[1]]))
  fits <- rbind(fits, data.frame(data = name, method, n_obs = nrow(d), sd_model, sd_residual = fit$sigma,
                                 loglik = as.numeric(logLik(fit))))
  f <- anova(fit, type = "marginal")
  fs <- rbind(fs, data.frame(data = name, method, term = rownames(f), df_num = f$numDF, df_den = f$denDF,
                             f = f[["F-value"]], p = f[["p-value"]]))
}
save <- function(x, what) {
  number <- sapply(x, is.double)
  x[number] <- lapply(x[number], function(v) trimws(formatC(v, digits = 16, format = "g")))
  write.csv(x, file.path(here, paste0(stem, "_", what, ".csv")), row.names = FALSE, quote = FALSE)
}
save(terms, "terms"); save(fits, "fits"); save(fs, "f")
